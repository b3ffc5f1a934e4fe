<#
.SYNOPSIS
Checks on a Windows agent what MSI Proxy assumes of Windows, Docker and its images.

.DESCRIPTION
Builds the images, tries each step of the wiring by itself, and runs the whole scenario in front of the IMDS emulator:
proxy, monitor and clients, tokens, refusals, a replaced proxy. Prints a table of assumption, expected, seen and result,
and writes a JSON report for a bug report. Removes the containers and the network that it made.

It changes nothing on the agent but Docker's images, unless -Service is given. It is meant for an agent without clients in use: while it runs, its
monitor sees every container of the agent. It therefore ends at once when there are containers with the product's labels.

Run it in Windows PowerShell 5.1 as an administrator, from a copy of the repository. Building needs Node.

Exit codes: 0 all that the product relies on holds, 1 something does not, 2 it could not run.

.PARAMETER List
Prints the checks and does nothing. So does -WhatIf.

.PARAMETER BaseImage
Server Core image for images and containers. Default: the one of the host's Windows version.

.PARAMETER NanoImage
Nano Server image. Default: the one of the host's Windows version.

.PARAMETER Tag
Tag of the product's images.

.PARAMETER SkipBuild
Uses images with that tag that are there already.

.PARAMETER NatNetwork
Docker network for the containers.

.PARAMETER Azure
Also asks the IMDS of this VM, without asking for a token. For Azure VMs only.

.PARAMETER Service
Also installs the monitor as a Windows service, and removes it again.

.PARAMETER KeepContainers
Leaves the containers for a closer look.

.PARAMETER ReportPath
Where the report is written.

.EXAMPLE
powershell -ExecutionPolicy Bypass -File scripts\verify-windows.ps1 -List

.EXAMPLE
powershell -ExecutionPolicy Bypass -File scripts\verify-windows.ps1 -Azure
#>
[CmdletBinding(SupportsShouldProcess = $true)]
param(
    [switch] $List,
    [string] $BaseImage = '',
    [string] $NanoImage = '',
    [ValidatePattern('^\w[\w.-]{0,127}$')] [string] $Tag = 'verify',
    [switch] $SkipBuild,
    [ValidatePattern('^[A-Za-z0-9][\w.-]*$')] [string] $NatNetwork = 'nat',
    [switch] $Azure,
    [switch] $Service,
    [switch] $KeepContainers,
    [string] $ReportPath = 'msi-proxy-verify-windows.json'
)

$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'

$ExitFailed = 1
$ExitNotRun = 2
# Of the Windows versions whose base images are maintained. Source: "Base image lifecycle" of Microsoft's container documentation.
$ReleaseOfBuild = @{ 17763 = 'ltsc2019'; 20348 = 'ltsc2022'; 26100 = 'ltsc2025' }

# Names and labels of this run.
$RunId = [Guid]::NewGuid().ToString('N').Substring(0, 8)

$RepositoryFolder = Split-Path $PSScriptRoot -Parent
$OptionsGiven = @()
if ($Azure) { $OptionsGiven += '-Azure' }
if ($Service) { $OptionsGiven += '-Service' }
$CheckFolder = Join-Path $PSScriptRoot 'verify-windows'
. (Join-Path $CheckFolder 'results.ps1')
. (Join-Path $CheckFolder 'docker.ps1')
. (Join-Path $CheckFolder 'wiring.ps1')
. (Join-Path $CheckFolder 'scenario.ps1')
. (Join-Path $CheckFolder 'service.ps1')
. (Join-Path $CheckFolder 'azure.ps1')

if ($List -or $WhatIfPreference) {
    Write-CheckList
    exit 0
}

# Ends when it cannot run here, before anything was done.
function Assert-CanRun {
    $identity = [System.Security.Principal.WindowsIdentity]::GetCurrent()
    $principal = New-Object System.Security.Principal.WindowsPrincipal $identity
    if (-not $principal.IsInRole([System.Security.Principal.WindowsBuiltInRole]::Administrator)) {
        throw 'not an administrator: start PowerShell with "Run as administrator"'
    }
    if (-not (Get-Command -Name 'docker' -ErrorAction SilentlyContinue)) { throw 'docker is not on the PATH: install Docker first, see docs/windows.md' }
    if (-not $SkipBuild -and -not (Get-Command -Name 'npm.cmd' -ErrorAction SilentlyContinue)) {
        throw 'npm.cmd is not on the PATH: install Node, or build the images elsewhere and use -SkipBuild -Tag'
    }
    if ($Service -and (Get-ServiceState) -ne 'absent') { throw "there is a service $MonitorService already: remove it first, or leave -Service out" }
    foreach ($label in @('MSIProxyContainer', 'MSIClientContainer')) {
        $there = @((Invoke-Docker @('ps', '--quiet', '--filter', "label=$label")).Output | Where-Object { $_ })
        if ($there.Count -gt 0) { throw "$($there.Count) container(s) with the label $label run here: stop them first, or use an agent without" }
    }
}

function Get-Machine {
    $windows = Get-ItemProperty -Path 'HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion'
    New-Object PSObject -Property @{
        product      = [string] $windows.ProductName
        build        = "$($windows.CurrentBuildNumber).$($windows.UBR)"
        installation = [string] $windows.InstallationType
        culture      = (Get-Culture).Name
        powershell   = [string] $PSVersionTable.PSVersion
        docker       = (Invoke-Docker @('version', '--format', '{{.Server.Version}} (API {{.Server.APIVersion}})')).Text.Trim()
        baseImage    = $BaseImage
        nanoImage    = $NanoImage
        tag          = $Tag
    }
}

function Get-DefaultImage {
    param([string] $Name)
    $build = [System.Environment]::OSVersion.Version.Build
    if (-not $ReleaseOfBuild.ContainsKey($build)) { throw "no base image is known for Windows build ${build}: name one with -BaseImage and -NanoImage" }
    "mcr.microsoft.com/windows/${Name}:$($ReleaseOfBuild[$build])"
}

function Test-Engine {
    Test-Assumption 'engine-windows' {
        $os = (Invoke-Docker @('info', '--format', '{{.OSType}}')).Text.Trim()
        New-Observation -Holds ($os -eq 'windows') -Seen "OSType $os"
    }
    Test-Assumption 'nat-network' {
        $network = @((Invoke-Docker @('network', 'inspect', $NatNetwork)).Text | ConvertFrom-Json | ForEach-Object { $_ })[0]
        $config = @($network.IPAM.Config)[0]
        New-Observation -Holds ($network.Driver -eq 'nat' -and $config.Subnet) -Seen "$NatNetwork, driver $($network.Driver), subnet $($config.Subnet), gateway $($config.Gateway)"
    }
    Test-Assumption 'images-build' {
        [void] (Invoke-Docker @('pull', $BaseImage))
        if (-not $SkipBuild) { Invoke-Npm @('run', 'images', '--', '--platform', 'windows', '--base-image', $BaseImage, '--tag', $Tag) }
        $missing = @('proxy', 'monitor', 'client', 'imds-emulator' | Where-Object {
                (Invoke-Docker -AllowFailure @('image', 'inspect', "msi-proxy/${_}:$Tag")).ExitCode -ne 0
            })
        New-Observation -Holds ($missing.Count -eq 0) -Seen $(if ($missing.Count -eq 0) { 'all four are there' } else { "missing: $($missing -join ', ')" })
    }
}

# Runs npm in the repository, with its output.
function Invoke-Npm {
    param([string[]] $Arguments)
    $ErrorActionPreference = 'Continue'
    Push-Location $RepositoryFolder
    try { & npm.cmd $Arguments 2>&1 | ForEach-Object { Write-Host ([string] $_) } }
    finally { Pop-Location }
    if ($LASTEXITCODE -ne 0) { throw "npm $($Arguments[0]) $($Arguments[1]) ended with exit code $LASTEXITCODE; its output is above" }
}

# The last lines of the product's containers, for the report. Tokens are never logged.
function Get-Logs {
    $logs = @{}
    foreach ($role in @('proxy', 'proxy2', 'monitor')) {
        $tail = Invoke-Docker -AllowFailure @('logs', '--tail', '200', "$RunLabel-$RunId-$role")
        if ($tail.ExitCode -eq 0) { $logs[$role] = $tail.Lines -join "`n" }
    }
    $logs
}

try {
    Assert-CanRun
    if ($BaseImage -eq '') { $BaseImage = Get-DefaultImage 'servercore' }
    if ($NanoImage -eq '') { $NanoImage = Get-DefaultImage 'nanoserver' }
    $machine = Get-Machine
}
catch {
    Write-Host "verify-windows: $($_.Exception.Message)"
    exit $ExitNotRun
}

Write-Host "Checking $($machine.product) $($machine.build), Docker $($machine.docker), images on $BaseImage"
$reason = ''
try {
    Test-Engine
    $emulatorA = Start-RunContainer -Role 'emulator-a' -Image "msi-proxy/imds-emulator:$Tag"
    $emulatorB = Start-RunContainer -Role 'emulator-b' -Image "msi-proxy/imds-emulator:$Tag"
    Test-WiringSteps -EmulatorA $emulatorA -EmulatorB $emulatorB
    Test-NanoServer -EmulatorA $emulatorA
    Test-Scenario -Emulator $emulatorA
    if ($Service) { Test-MonitorService }
    if ($Azure) { Test-Azure }
}
catch {
    $reason = "the run ended before: $($_.Exception.Message)"
    Write-Host $reason
}
finally {
    Add-SkippedResults -Reason $reason
    $logs = Get-Logs
    if (-not $KeepContainers) { Remove-RunResources }
}

Write-ResultTable
$path = $ExecutionContext.SessionState.Path.GetUnresolvedProviderPathFromPSPath($ReportPath)
Export-Report -Path $path -Machine $machine -Logs $logs
Write-Host "Report: $path"
$failed = @($Results | Where-Object { $_.relied -and $_.status -ne 'pass' -and -not ($_.status -eq 'not run' -and $_.seen -like 'run with * only') })
if ($failed.Count -gt 0) {
    Write-Host "$($failed.Count) assumption(s) that the product relies on do not hold or could not be checked."
    exit $ExitFailed
}
Write-Host 'All that the product relies on holds.'
exit 0
