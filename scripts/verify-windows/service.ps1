# The monitor as a Windows service. Run with -Service only: it installs and removes a service on this machine.
# Dot-sourced by verify-windows.ps1.

$MonitorService = 'msi-monitor'

# Runs deploy\windows-service\msi-monitor-service.ps1 with folders of this run.
function Invoke-ServiceScript {
    param([string[]] $Arguments)
    $ErrorActionPreference = 'Continue'
    $file = Join-Path $RepositoryFolder 'deploy\windows-service\msi-monitor-service.ps1'
    $folders = @('-Folder', (Join-Path $ServiceFolder 'program'), '-LogFolder', (Join-Path $ServiceFolder 'log'))
    $lines = @(& powershell.exe -NoProfile -NonInteractive -ExecutionPolicy Bypass -File $file $Arguments $folders 2>&1 | ForEach-Object { [string] $_ })
    New-Object PSObject -Property @{ ExitCode = $LASTEXITCODE; Text = ($lines -join ' ') }
}

function Get-ServiceState {
    $service = Get-Service -Name $MonitorService -ErrorAction SilentlyContinue
    if ($service) { [string] $service.Status } else { 'absent' }
}

# The process that the service runs the monitor in, or nothing.
function Get-ServiceProcess {
    # By the end of its path, whose beginning may be a short name.
    $program = "*\$RunLabel-$RunId\program\node.exe"
    @(Get-Process -Name 'node' -ErrorAction SilentlyContinue | Where-Object { $_.Path -like $program } | ForEach-Object { $_.Id })[0]
}

function Test-MonitorService {
    $script:ServiceFolder = Join-Path ([System.IO.Path]::GetTempPath()) "$RunLabel-$RunId"
    try {
        Test-Assumption 'service-installs' {
            $program = Join-Path $RepositoryFolder 'packages\monitor\dist\bundle\msi-monitor.mjs'
            if (-not (Test-Path -LiteralPath $program)) { Invoke-Npm @('run', 'build') }
            $installed = Invoke-ServiceScript @('install', '-Program', $program)
            New-Observation -Holds ($installed.ExitCode -eq 0 -and (Get-ServiceState) -eq 'Running') -Seen "$(Get-ServiceState): $($installed.Text)"
        }
        Test-Assumption 'service-follows' {
            $engine = Wait-Until -What 'the monitor to reach the engine' -Condition {
                $answer = Read-ServiceStatus
                if ($answer -and $answer.engine.state -eq 'connected') { $answer.engine }
            }
            New-Observation -Holds $true -Seen "engine $($engine.state), Docker $($engine.version)"
        }
        Test-Assumption 'service-recovers' {
            $killed = Get-ServiceProcess
            Stop-Process -Id $killed -Force
            $watch = [System.Diagnostics.Stopwatch]::StartNew()
            $next = Wait-Until -What 'another process' -Condition {
                $running = Get-ServiceProcess
                if ($running -and $running -ne $killed) { $running }
            }
            $seconds = [Math]::Round($watch.Elapsed.TotalSeconds, 1)
            New-Observation -Holds ($seconds -lt 15) -Seen "process $next instead of $killed after $seconds s"
        }
        Test-Assumption 'service-log-closed' {
            $sids = @((Get-Acl -LiteralPath (Join-Path $ServiceFolder 'log')).GetAccessRules($true, $true, [System.Security.Principal.SecurityIdentifier]) |
                    ForEach-Object { $_.IdentityReference.Value } | Sort-Object -Unique)
            New-Observation -Holds (($sids -join ' ') -eq 'S-1-5-18 S-1-5-32-544') -Seen ($sids -join ' ')
        }
        Test-Assumption 'service-stops' {
            $watch = [System.Diagnostics.Stopwatch]::StartNew()
            [void] (Invoke-ServiceScript @('stop'))
            $seconds = [Math]::Round($watch.Elapsed.TotalSeconds, 1)
            New-Observation -Holds ((Get-ServiceState) -eq 'Stopped' -and $seconds -lt 20) -Seen "$(Get-ServiceState) after $seconds s"
        }
    }
    finally {
        Test-Assumption 'service-uninstalls' {
            $removed = Invoke-ServiceScript @('uninstall')
            New-Observation -Holds ((Get-ServiceState) -eq 'absent') -Seen "$(Get-ServiceState): $($removed.Text)"
        }
        Remove-Item -LiteralPath $ServiceFolder -Recurse -Force -ErrorAction SilentlyContinue
    }
}

# The status that the service serves on this machine, or nothing.
function Read-ServiceStatus {
    try { Invoke-RestMethod -UseBasicParsing -Uri 'http://127.0.0.1:9180/api/status' -TimeoutSec 5 } catch { $null }
}
