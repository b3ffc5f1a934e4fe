# The whole product on this agent, in front of the emulator. Dot-sourced by verify-windows.ps1.

$Vault = 'https%3A%2F%2Fvault.azure.net'
$Storage = 'https%3A%2F%2Fstorage.azure.com'
$EnginePipe = '\\.\pipe\docker_engine'

function Get-TokenUri {
    param([string] $HostName = $ImdsAddress, [string] $Resource)
    "http://${HostName}/metadata/identity/oauth2/token?api-version=2018-02-01&resource=$Resource"
}

function Start-Proxy {
    param([string] $Role, [string] $Emulator)
    Start-RunContainer -Role $Role -Image "msi-proxy/proxy:$Tag" -Options @(
        '--label', 'MSIProxyContainer',
        '--env', "MSI_PROXY_IMDS_ADDRESS=$(Get-ContainerAddress $Emulator):80", '--env', 'MSI_PROXY_ROUTE=off')
}

function Start-Monitor {
    param([string] $Role, [string[]] $Command = @())
    Start-RunContainer -Role $Role -Image "msi-proxy/monitor:$Tag" -Command $Command -Options @(
        '--volume', "${EnginePipe}:${EnginePipe}", '--env', 'DOCKER_HOST=npipe:////./pipe/docker_engine')
}

function Start-Client {
    param([string] $Role, [string] $Image = $BaseImage, [string[]] $Command = @('ping.exe', '-t', '127.0.0.1'))
    Start-RunContainer -Role $Role -Image $Image -Command $Command -Options @(
        '--label', 'MSIClientContainer', '--label', 'com.msi-proxy.identity=system',
        '--label', 'com.msi-proxy.resources=https://vault.azure.net')
}

# What the monitor knows, or nothing while it does not answer.
function Get-MonitorStatus {
    param([string] $Monitor)
    $answer = Invoke-InContainer -Container $Monitor -AllowFailure -Command @('cmd.exe', '/c', 'msi-monitor status --json')
    if ($answer.ExitCode -ne 0) { return $null }
    try { ConvertFrom-Json $answer.Text } catch { $null }
}

# What the monitor says of a client, in words.
function Get-ClientSummary {
    param([string] $Monitor, [string] $Client)
    $found = @((Get-MonitorStatus $Monitor).clients | Where-Object { $_.name -eq $Client })
    if ($found.Count -eq 0) { return 'not known' }
    "$($found[0].state) $($found[0].method) $($found[0].reason)".Trim()
}

function Wait-Wired {
    param([string] $Monitor, [string[]] $Clients)
    $watch = [System.Diagnostics.Stopwatch]::StartNew()
    $summaries = @()
    while ($watch.Elapsed.TotalSeconds -lt 120) {
        $summaries = @($Clients | ForEach-Object { Get-ClientSummary -Monitor $Monitor -Client $_ })
        if (@($summaries | Where-Object { $_ -ne 'wired portproxy' }).Count -eq 0) { break }
        Start-Sleep -Seconds 1
    }
    New-Object PSObject -Property @{
        Wired = (@($summaries | Where-Object { $_ -ne 'wired portproxy' }).Count -eq 0)
        Seen  = "$($summaries -join ', ') after $([int] $watch.Elapsed.TotalSeconds) s"
    }
}

function Test-Tokens {
    param([string[]] $Clients)
    $statuses = @($Clients | ForEach-Object { Get-HttpStatus -Container $_ -Uri (Get-TokenUri -Resource $Vault) })
    New-Observation -Holds (@($statuses | Where-Object { $_ -ne 200 }).Count -eq 0) -Seen "HTTP $($statuses -join ', ')"
}

function Test-NoForwarding {
    param([string[]] $Containers)
    $seen = @($Containers | ForEach-Object {
            $forwarding = Get-Forwarding $_
            "addresses $($forwarding.addresses), rules $(@($forwarding.rules).Count)"
        })
    New-Observation -Holds (@($seen | Where-Object { $_ -ne 'addresses 0, rules 0' }).Count -eq 0) -Seen ($seen -join '; ')
}

function Test-Scenario {
    param([string] $Emulator)
    $unlabelled = Start-IdleContainer -Role 'unlabelled'
    $monitor = Start-Monitor -Role 'monitor'
    $proxy = Start-Proxy -Role 'proxy' -Emulator $Emulator
    $clients = @((Start-Client -Role 'client1'), (Start-Client -Role 'client2'))

    Test-Assumption 'monitor-pipe' {
        $engine = Wait-Until -What 'the monitor to answer' -Condition {
            $status = Get-MonitorStatus $monitor
            if ($status -and $status.engine.state -eq 'connected') { $status.engine }
        }
        New-Observation -Holds $true -Seen "engine $($engine.state), Docker $($engine.version)"
    }
    Test-Assumption 'proxy-serves' {
        $serving = Wait-Until -What 'the proxy to serve' -Condition {
            @((Get-MonitorStatus $monitor).proxies | Where-Object { $_.name -eq $proxy -and $_.state -eq 'serving' })[0]
        }
        New-Observation -Holds $true -Seen "serving at $($serving.address)"
    }
    Test-Assumption 'control-pipe-closed' {
        $seen = @(Invoke-ScriptInContainer -Container $proxy -User 'ContainerUser' -Script @'
$pipe = New-Object System.IO.Pipes.NamedPipeClientStream '.', 'msi-proxy', 'InOut'
try { $pipe.Connect(2000); 'connected' }
catch { $reason = $_.Exception; while ($reason.InnerException) { $reason = $reason.InnerException }; $reason.GetType().Name }
'@)[-1]
        New-Observation -Holds ($seen -eq 'UnauthorizedAccessException') -Seen $seen
    }
    Test-Assumption 'client-wired' {
        $wiring = Wait-Wired -Monitor $monitor -Clients $clients
        New-Observation -Holds $wiring.Wired -Seen $wiring.Seen
    }
    Test-Assumption 'client-token' { Test-Tokens $clients }
    Test-Assumption 'client-policy' {
        $status = Get-HttpStatus -Container $clients[0] -Uri (Get-TokenUri -Resource $Storage)
        New-Observation -Holds ($status -eq 403) -Seen "HTTP $status"
    }
    Test-Assumption 'neighbour-refused' {
        $neighbour = Start-IdleContainer -Role 'neighbour'
        $address = Get-ContainerAddress $clients[0]
        $route = Read-FromContainer -Container $neighbour -Script $NeighbourScript -Values @{ Imds = $ImdsAddress; Client = $address }
        # Without the route, silence would tell nothing of the client.
        if (@($route.rows).Count -eq 0) { throw "route add did not make $address the way to $ImdsAddress" }
        $status = Get-HttpStatus -Container $neighbour -Uri (Get-TokenUri -Resource $Vault)
        New-Observation -Holds ($status -eq 0) -Seen $(if ($status -eq 0) { 'no answer' } else { "HTTP $status by way of $address" })
    }
    Test-Assumption 'authority-host' {
        $status = Get-HttpStatus -Container $clients[0] -Uri (Get-TokenUri -HostName (Get-ContainerAddress $proxy) -Resource $Vault)
        New-Observation -Holds ($status -eq 200) -Seen "HTTP $status"
    }
    Test-Assumption 'authority-host-name' {
        $status = Get-HttpStatus -Container $clients[0] -Uri (Get-TokenUri -HostName $proxy -Resource $Vault)
        New-Observation -Holds ($status -eq 200) -Seen "HTTP $status"
    }
    Test-Assumption 'client-startup' {
        $waiting = Start-Client -Role 'client3' -Image "msi-proxy/client:$Tag" -Command @('cmd.exe', '/c', 'echo the command ran')
        $log = Wait-Until -What 'the command of the client image to run' -TimeoutSeconds 120 -Condition {
            $printed = (Invoke-Docker -AllowFailure @('logs', $waiting)).Text
            if ((Get-ContainerState $waiting).State.Status -eq 'exited') { "$printed " }
        }
        New-Observation -Holds ($log.Contains('the command ran')) -Seen $log.Trim()
    }
    Test-Assumption 'client-startup-check' {
        $idle = Start-Client -Role 'client4' -Image "msi-proxy/client:$Tag"
        [void] (Wait-Wired -Monitor $monitor -Clients @($idle))
        $batch = Invoke-InContainer -Container $idle -AllowFailure -Command @('cmd', '/d', '/c', 'C:\msi-proxy\startup.cmd', '--check')
        $powershell = Invoke-InContainer -Container $idle -AllowFailure -Command @(
            'powershell', '-NoProfile', '-NonInteractive', '-ExecutionPolicy', 'Bypass', '-File', 'C:\msi-proxy\startup.ps1', '--check')
        New-Observation -Holds ($batch.ExitCode -eq 0 -and $powershell.ExitCode -eq 0) -Seen "exit codes: startup.cmd $($batch.ExitCode), startup.ps1 $($powershell.ExitCode)"
    }
    Test-Assumption 'unlabelled-untouched' { Test-NoForwarding @($unlabelled) }
    Test-Assumption 'health-checks' {
        $ofProxy = Invoke-InContainer -Container $proxy -AllowFailure -Command @('cmd.exe', '/c', 'msi-proxy healthcheck')
        $ofMonitor = Invoke-InContainer -Container $monitor -AllowFailure -Command @('cmd.exe', '/c', 'msi-monitor status')
        New-Observation -Holds ($ofProxy.ExitCode -eq 0 -and $ofMonitor.ExitCode -eq 0) -Seen "exit codes: proxy $($ofProxy.ExitCode), monitor $($ofMonitor.ExitCode)"
    }
    Test-Assumption 'stop-in-order' {
        $watch = [System.Diagnostics.Stopwatch]::StartNew()
        [void] (Invoke-Docker @('stop', '-t', '10', $proxy))
        $seconds = $watch.Elapsed.TotalSeconds
        New-Observation -Holds ($seconds -lt 10) -Seen "$([Math]::Round($seconds, 1)) s, exit code $((Get-ContainerState $proxy).State.ExitCode)"
    }
    Test-Assumption 'no-proxy' {
        $watch = [System.Diagnostics.Stopwatch]::StartNew()
        $status = Get-HttpStatus -Container $clients[0] -Uri (Get-TokenUri -Resource $Vault)
        $seconds = [Math]::Round($watch.Elapsed.TotalSeconds, 1)
        New-Observation -Holds ($status -eq 0 -and $seconds -lt 5) -Seen "HTTP $status after $seconds s"
    }
    Test-Assumption 'proxy-replaced' {
        # It may get the address that the first proxy had, so that the second one has another.
        [void] (Start-IdleContainer -Role 'successor')
        [void] (Start-Proxy -Role 'proxy2' -Emulator $Emulator)
        $watch = [System.Diagnostics.Stopwatch]::StartNew()
        do {
            $tokens = Test-Tokens $clients
            if (-not $tokens.Holds) { Start-Sleep -Seconds 1 }
        } until ($tokens.Holds -or $watch.Elapsed.TotalSeconds -gt 120)
        New-Observation -Holds $tokens.Holds -Seen "$($tokens.Seen) after $([int] $watch.Elapsed.TotalSeconds) s"
    }
    Test-Assumption 'unwire' {
        # A monitor that runs would wire them again.
        [void] (Invoke-Docker @('stop', $monitor))
        $unwiring = Start-Monitor -Role 'unwire' -Command @('unwire', '--all')
        $exitCode = Wait-Until -What 'msi-monitor unwire --all to end' -TimeoutSeconds 120 -Condition {
            $state = (Get-ContainerState $unwiring).State
            if ($state.Status -eq 'exited') { [string] $state.ExitCode }
        }
        $left = Test-NoForwarding $clients
        New-Observation -Holds ($exitCode -eq '0' -and $left.Holds) -Seen "exit code $exitCode; $($left.Seen)"
    }
}
