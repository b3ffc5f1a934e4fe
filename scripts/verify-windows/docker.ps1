# Runs Docker and programs in containers. Dot-sourced by verify-windows.ps1.

# Every container of a run carries this label, by which they are removed.
$RunLabel = 'msi-verify'

# Runs the Docker client with an argument array and gives back its exit code, output and errors.
function Invoke-Docker {
    param(
        [Parameter(Mandatory = $true)] [string[]] $Arguments,
        [switch] $AllowFailure
    )
    # With Stop, Windows PowerShell 5.1 would take the first line on standard error for an error of ours.
    $ErrorActionPreference = 'Continue'
    $output = New-Object System.Collections.Generic.List[string]
    $errors = New-Object System.Collections.Generic.List[string]
    & docker $Arguments 2>&1 | ForEach-Object {
        if ($_ -is [System.Management.Automation.ErrorRecord]) { $errors.Add($_.Exception.Message) }
        else { $output.Add([string] $_) }
    }
    $exitCode = $LASTEXITCODE
    if ($exitCode -ne 0 -and -not $AllowFailure) {
        $shown = @($Arguments | Select-Object -First 4) -join ' '
        throw "docker $shown ... ended with exit code ${exitCode}: $(@($errors + $output) -join ' ')"
    }
    New-Object PSObject -Property @{
        ExitCode = $exitCode
        Output   = $output.ToArray()
        Text     = ($output.ToArray() -join "`n")
        Errors   = ($errors.ToArray() -join ' ')
        Lines    = @($output.ToArray() + $errors.ToArray())
    }
}

# What docker inspect says of a container, as an object.
function Get-ContainerState {
    param([Parameter(Mandatory = $true)] [string] $Container)
    @((Invoke-Docker @('inspect', '--type', 'container', $Container)).Text | ConvertFrom-Json | ForEach-Object { $_ })[0]
}

# The container's IPv4 address on the network of this run.
function Get-ContainerAddress {
    param([Parameter(Mandatory = $true)] [string] $Container)
    $networks = (Get-ContainerState $Container).NetworkSettings.Networks
    [string] $networks.PSObject.Properties[$NatNetwork].Value.IPAddress
}

# Starts a container of this run in the background and gives back its name.
function Start-RunContainer {
    param(
        [Parameter(Mandatory = $true)] [string] $Role,
        [Parameter(Mandatory = $true)] [string] $Image,
        [string[]] $Options = @(),
        [string[]] $Command = @()
    )
    $name = "$RunLabel-$RunId-$Role"
    $arguments = @('run', '--detach', '--name', $name, '--label', "$RunLabel=$RunId")
    if (-not ($Options -contains '--network')) { $arguments += @('--network', $NatNetwork) }
    [void] (Invoke-Docker ($arguments + $Options + @($Image) + $Command))
    $name
}

# Starts a container that idles. ping is in every base image.
function Start-IdleContainer {
    param(
        [Parameter(Mandatory = $true)] [string] $Role,
        [string] $Image = $BaseImage,
        [string[]] $Options = @()
    )
    Start-RunContainer -Role $Role -Image $Image -Options $Options -Command @('ping.exe', '-t', '127.0.0.1')
}

# Runs a program in a container.
function Invoke-InContainer {
    param(
        [Parameter(Mandatory = $true)] [string] $Container,
        [Parameter(Mandatory = $true)] [string[]] $Command,
        [string] $User = 'ContainerAdministrator',
        [switch] $AllowFailure
    )
    Invoke-Docker -Arguments (@('exec', '--user', $User, $Container) + $Command) -AllowFailure:$AllowFailure
}

# Runs a PowerShell script in a container the way the monitor does, and gives back its lines.
# $Values are assigned to variables in front of it; they are texts.
function Invoke-ScriptInContainer {
    param(
        [Parameter(Mandatory = $true)] [string] $Container,
        [Parameter(Mandatory = $true)] [string] $Script,
        [hashtable] $Values = @{},
        [string] $User = 'ContainerAdministrator'
    )
    $head = "`$ErrorActionPreference = 'Stop'; `$ProgressPreference = 'SilentlyContinue'`n"
    foreach ($name in $Values.Keys) {
        $text = ([string] $Values[$name]) -replace "'", "''"
        $head += "`$$name = '$text'`n"
    }
    $encoded = [Convert]::ToBase64String([System.Text.Encoding]::Unicode.GetBytes($head + $Script))
    (Invoke-InContainer -Container $Container -User $User -Command @(
            'powershell', '-NoLogo', '-NoProfile', '-NonInteractive', '-ExecutionPolicy', 'Bypass',
            '-OutputFormat', 'Text', '-EncodedCommand', $encoded)).Output
}

# The same for a script whose last line is JSON.
function Read-FromContainer {
    param(
        [Parameter(Mandatory = $true)] [string] $Container,
        [Parameter(Mandatory = $true)] [string] $Script,
        [hashtable] $Values = @{}
    )
    $lines = @(Invoke-ScriptInContainer -Container $Container -Script $Script -Values $Values)
    if ($lines.Count -eq 0) { throw "the script in $Container printed nothing" }
    ConvertFrom-Json $lines[-1]
}

# Asks with curl.exe from inside a container. The status is 0 when there is no answer.
function Get-HttpStatus {
    param(
        [Parameter(Mandatory = $true)] [string] $Container,
        [Parameter(Mandatory = $true)] [string] $Uri,
        [string[]] $Options = @()
    )
    $answer = Invoke-InContainer -Container $Container -AllowFailure -Command (@(
            'curl.exe', '--silent', '--noproxy', '*', '--max-time', '15', '--header', 'Metadata:true',
            '--output', 'NUL', '--write-out', '%{http_code}') + $Options + @($Uri))
    $digits = ($answer.Text -replace '\D', '')
    if ($digits -eq '') { return 0 }
    [int] $digits
}

# Waits until a script block gives something else than nothing or false, and gives that back.
function Wait-Until {
    param(
        [Parameter(Mandatory = $true)] [string] $What,
        [Parameter(Mandatory = $true)] [scriptblock] $Condition,
        [int] $TimeoutSeconds = 60
    )
    $watch = [System.Diagnostics.Stopwatch]::StartNew()
    while ($true) {
        $result = & $Condition
        if ($result) { return $result }
        if ($watch.Elapsed.TotalSeconds -gt $TimeoutSeconds) { throw "waited $TimeoutSeconds s for $What" }
        Start-Sleep -Milliseconds 500
    }
}

# Removes every container and network of this run.
function Remove-RunResources {
    $ids = @((Invoke-Docker -AllowFailure -Arguments @('ps', '--all', '--quiet', '--filter', "label=$RunLabel=$RunId")).Output | Where-Object { $_ })
    foreach ($id in $ids) { [void] (Invoke-Docker -AllowFailure -Arguments @('rm', '--force', '--volumes', $id)) }
    $ids = @((Invoke-Docker -AllowFailure -Arguments @('network', 'ls', '--quiet', '--filter', "label=$RunLabel=$RunId")).Output | Where-Object { $_ })
    foreach ($id in $ids) { [void] (Invoke-Docker -AllowFailure -Arguments @('network', 'rm', $id)) }
}
