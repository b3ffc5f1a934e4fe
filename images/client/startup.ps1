# Waits until the proxy says that it serves this container, then starts the given command and ends with its exit code.
#
#   MSI_CLIENT_WAIT_SECONDS  how long it waits at most, in seconds; default 30
#   MSI_CLIENT_WAIT_FAILURE  what then: "exit" (default) ends the container with code 1, "continue" starts the command
#
# "--check" asks once and says by its exit code whether the container is served.
#
# No param block: options of the command must not be taken for parameters of this script.

Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'

$readyUrl = 'http://169.254.169.254/.msi-proxy/ready'
$askMilliseconds = 3000

function Write-Message([string] $text) {
    [Console]::Error.WriteLine("msi-client: $text")
}

# Asks the proxy once: status (000: no answer) and body.
function Get-Answer {
    $request = [Net.WebRequest]::Create($readyUrl)
    $request.Proxy = $null
    $request.Timeout = $askMilliseconds
    $request.ReadWriteTimeout = $askMilliseconds
    $response = $null
    try {
        $response = $request.GetResponse()
    }
    catch {
        # Other status codes than 200 are errors to .NET.
        $inner = $_.Exception.GetBaseException()
        if ($inner -is [Net.WebException]) {
            $response = $inner.Response
        }
    }
    if ($null -eq $response) {
        return @{ Status = '000'; Body = '' }
    }
    $body = ''
    try {
        $reader = New-Object -TypeName IO.StreamReader -ArgumentList $response.GetResponseStream()
        $body = $reader.ReadToEnd()
    }
    catch {
        $body = $_.Exception.Message
    }
    finally {
        $response.Close()
    }
    return @{ Status = [string] [int] $response.StatusCode; Body = $body -replace '[\r\n]', '' }
}

# What is missing, in words.
function Get-Description($answer) {
    if ($answer.Status -eq '000') {
        return "nothing answers at ${readyUrl}: no proxy serves, or the monitor has not wired this container (is it labelled MSIClientContainer?)"
    }
    return "the proxy answered $($answer.Status): $($answer.Body)"
}

# Whether the command line of this command is left to PowerShell.
#
# Before 7.3 PowerShell drops empty arguments, does not escape quotes, and puts quotes of its own around text with spaces that
# was escaped already (its issue 1995). What reads its command line by rules of its own gets the same from 7.3 as before
# (about_Preference_Variables, $PSNativeCommandArgumentPassing), and so it does here.
function Test-LeftToPowerShell($command) {
    $command.CommandType -ne 'Application' -or
    $PSVersionTable.PSVersion -ge '7.3' -or
    $command.Name -match '^(cmd|cscript|wscript)\.exe$' -or
    $command.Name -notmatch '\.(exe|com)$'
}

# An argument for a command line from which CommandLineToArgvW reads it as it is given: backslashes count only before a quote,
# where each is doubled.
function ConvertTo-NativeArgument([string] $text) {
    if ($text -ne '' -and $text -notmatch '[\s"]') {
        return $text
    }
    '"' + ($text -replace '(\\*)"', '$1$1\"' -replace '(\\+)\z', '$1$1') + '"'
}

# Runs a program whose command line is written here, with the input and output of this script, and gives back its exit code.
function Invoke-Program([string] $path, [string[]] $arguments) {
    $start = New-Object -TypeName Diagnostics.ProcessStartInfo
    $start.FileName = $path
    $start.Arguments = @($arguments | ForEach-Object { ConvertTo-NativeArgument $_ }) -join ' '
    $start.UseShellExecute = $false
    $process = [Diagnostics.Process]::Start($start)
    $process.WaitForExit()
    $process.ExitCode
}

if ($args.Count -gt 0 -and $args[0] -ceq '--check') {
    $answer = Get-Answer
    if ($answer.Status -eq '200') {
        exit 0
    }
    Write-Output (Get-Description $answer)
    exit 1
}

$waitSeconds = '30'
if ($env:MSI_CLIENT_WAIT_SECONDS) {
    $waitSeconds = $env:MSI_CLIENT_WAIT_SECONDS
}
$onFailure = 'exit'
if ($env:MSI_CLIENT_WAIT_FAILURE) {
    $onFailure = $env:MSI_CLIENT_WAIT_FAILURE
}
if ($waitSeconds -notmatch '^(0|[1-9][0-9]{0,3})$') {
    Write-Message "MSI_CLIENT_WAIT_SECONDS is `"$waitSeconds`": expected a whole number of seconds from 0 to 9999"
    exit 78
}
if ($onFailure -cnotmatch '^(exit|continue)$') {
    Write-Message "MSI_CLIENT_WAIT_FAILURE is `"$onFailure`": expected `"exit`" or `"continue`""
    exit 78
}
if ($args.Count -eq 0) {
    Write-Message 'no command given: name one after the image, or in CMD of an image that is based on this one'
    exit 64
}

$clock = [Diagnostics.Stopwatch]::StartNew()
$answer = Get-Answer
while ($answer.Status -ne '200') {
    if ($clock.Elapsed.TotalSeconds -ge [int] $waitSeconds) {
        Write-Message "not served after $waitSeconds s: $(Get-Description $answer)"
        if ($onFailure -eq 'exit') {
            exit 1
        }
        Write-Message 'starting the command all the same (MSI_CLIENT_WAIT_FAILURE=continue)'
        break
    }
    Start-Sleep -Milliseconds 200
    $answer = Get-Answer
}

$command = Get-Command -Name $args[0] -ErrorAction SilentlyContinue | Select-Object -First 1
if ($null -eq $command) {
    Write-Message "$($args[0]): command not found"
    exit 127
}
$arguments = @($args | Select-Object -Skip 1)
if (-not (Test-LeftToPowerShell $command)) {
    exit (Invoke-Program $command.Path $arguments)
}
# What the command writes to its standard error is not an error of this script.
$ErrorActionPreference = 'Continue'
$global:LASTEXITCODE = 0
& $command @arguments
exit $LASTEXITCODE
