#Requires -Version 5.1
#Requires -RunAsAdministrator
<#
.SYNOPSIS
Runs the monitor of MSI Proxy as a Windows service, by WinSW.

.DESCRIPTION
install    puts the monitor into Folder and makes and starts the service; again with another version to replace it: what
           it needs is fetched and checked before the service that runs is touched, and its settings are kept
start, stop, restart, status
uninstall  removes service and Folder; wiring in containers stays, unless Unwire is given, and so does the log

.PARAMETER Action
What to do.

.PARAMETER Program
For install: msi-monitor.mjs, which "npm run build" leaves in packages\monitor\dist\bundle.

.PARAMETER Setting
For install: settings of the monitor, such as 'MSI_MONITOR_GUARD=audit'. They replace the settings of these names that the
installed service has; without a value, as in 'MSI_MONITOR_GUARD=', a setting has its default again.

.PARAMETER Node
For install: a node.exe to copy, instead of downloading one.

.PARAMETER WinSW
For install: a WinSW-x64.exe to copy, instead of downloading it.

.PARAMETER Folder
Where the service lives. Not needed for a service that is installed, and refused by install when it lives elsewhere.

.PARAMETER LogFolder
Where it logs: msi-monitor-service.out.log is the monitor's log, .err.log what Node says when it cannot run it, and
.wrapper.log is WinSW's.

.PARAMETER Unwire
For uninstall: takes the wiring of all containers away first.

.EXAMPLE
.\msi-monitor-service.ps1 install -Program ..\..\packages\monitor\dist\bundle\msi-monitor.mjs -Setting 'MSI_MONITOR_LOG_LEVEL=debug'
#>
param(
    [Parameter(Mandatory = $true, Position = 0)]
    [ValidateSet('install', 'start', 'stop', 'restart', 'status', 'uninstall')]
    [string] $Action,
    [string] $Program = '',
    [string[]] $Setting = @(),
    [string] $Node = '',
    [string] $WinSW = '',
    [string] $Folder = "$env:ProgramFiles\MSI Proxy\monitor",
    [string] $LogFolder = "$env:ProgramData\MSI Proxy\log",
    [switch] $Unwire
)

Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'
# Windows PowerShell draws its progress bar for every few bytes, which makes a download take minutes.
$ProgressPreference = 'SilentlyContinue'

$serviceName = 'msi-monitor'
$downloads = @{
    Node  = @{
        Uri    = 'https://nodejs.org/dist/v24.21.0/win-x64/node.exe'
        Sha256 = 'ba4e6d110e8c1592a1ecd390f6b05f3da124b13871a5be62b341a07a853c6c32'
    }
    WinSW = @{
        Uri    = 'https://github.com/winsw/winsw/releases/download/v2.12.0/WinSW-x64.exe'
        Sha256 = '05b82d46ad331cc16bdc00de5c6332c1ef818df8ceefcd49c726553209b3a0da'
    }
}

# Copies a program that is at hand, or downloads one whose hash is known.
function Copy-Program([string] $source, [hashtable] $download, [string] $target) {
    if ($source) {
        Copy-Item -LiteralPath $source -Destination $target -Force
        return
    }
    Write-Output "Downloading $($download.Uri)"
    [Net.ServicePointManager]::SecurityProtocol = [Net.SecurityProtocolType]::Tls12
    Invoke-WebRequest -UseBasicParsing -Uri $download.Uri -OutFile $target
    $hash = (Get-FileHash -Algorithm SHA256 -LiteralPath $target).Hash
    if ($hash -ne $download.Sha256) {
        Remove-Item -LiteralPath $target
        throw "The SHA-256 of $($download.Uri) is $($hash.ToLowerInvariant()): expected $($download.Sha256)"
    }
}

function Invoke-Wrapper([string] $command) {
    & $wrapper $command
    if ($LASTEXITCODE -ne 0) {
        throw "$wrapper $command ended with exit code $LASTEXITCODE; see $LogFolder"
    }
}

function Get-MonitorService {
    Get-Service -Name $serviceName -ErrorAction SilentlyContinue
}

# The folder of the service that is installed, or nothing.
function Get-InstalledFolder {
    $registered = Get-CimInstance -ClassName Win32_Service -Filter "Name='$serviceName'"
    if ($registered) {
        Split-Path -Path $registered.PathName.Trim('"') -Parent
    }
}

# Paths that are written differently, with short names too, become the same.
function Get-PlainPath([string] $path) {
    $absolute = $ExecutionContext.SessionState.Path.GetUnresolvedProviderPathFromPSPath($path)
    [IO.Path]::GetFullPath($absolute).TrimEnd('\')
}

# Ends when the service is in that state, and fails when it takes too long.
function Wait-Status([string] $status) {
    (Get-MonitorService).WaitForStatus($status, [TimeSpan]::FromSeconds(60))
}

function Stop-Monitor {
    $service = Get-MonitorService
    if ($service -and $service.Status -ne 'Stopped') {
        Stop-Service -Name $serviceName -Force
        Wait-Status 'Stopped'
    }
}

function Start-Monitor {
    Start-Service -Name $serviceName
    Wait-Status 'Running'
}

# Windows removes a service when the last one who looks at it is gone.
function Remove-MonitorService {
    if (-not (Get-MonitorService)) {
        return
    }
    Stop-Monitor
    Invoke-Wrapper 'uninstall'
    for ($attempt = 0; (Get-MonitorService) -and $attempt -lt 40; $attempt++) {
        Start-Sleep -Milliseconds 250
    }
    if (Get-MonitorService) {
        throw "The service $serviceName is marked for deletion, but something holds it: close services.msc and try again"
    }
}

# The settings of the service that is installed, as they are given to this script.
function Get-InstalledSetting {
    $configuration = Join-Path -Path $Folder -ChildPath 'msi-monitor-service.xml'
    if (-not (Test-Path -LiteralPath $configuration)) {
        return
    }
    $document = New-Object -TypeName Xml.XmlDocument
    $document.Load($configuration)
    foreach ($entry in $document.DocumentElement.SelectNodes('env')) {
        "$($entry.GetAttribute('name'))=$($entry.GetAttribute('value'))"
    }
}

# Later settings replace earlier ones. They go in as attributes of XML, not as text, so that no character of them can be
# taken for something else.
function Write-Configuration([string[]] $settings, [string] $target) {
    $document = New-Object -TypeName Xml.XmlDocument
    $document.Load((Join-Path -Path $PSScriptRoot -ChildPath 'msi-monitor-service.xml'))
    $root = $document.DocumentElement
    foreach ($text in $settings) {
        $name, $value = $text -split '=', 2
        foreach ($present in @($root.SelectNodes('env'))) {
            if ($present.GetAttribute('name') -eq $name) {
                [void] $root.RemoveChild($present)
            }
        }
        $entry = $document.CreateElement('env')
        $entry.SetAttribute('name', $name)
        $entry.SetAttribute('value', $value)
        [void] $root.AppendChild($entry)
    }
    $logPath = $document.CreateElement('logpath')
    $logPath.InnerText = $LogFolder
    [void] $root.AppendChild($logPath)
    $document.Save($target)
}

function Set-Access {
    & icacls.exe $LogFolder @args /Q
    if ($LASTEXITCODE -ne 0) {
        throw "icacls $LogFolder $args ended with exit code $LASTEXITCODE"
    }
}

# Runs the installed program as the service does, with its settings.
function Invoke-Monitor {
    $document = New-Object -TypeName Xml.XmlDocument
    $document.Load((Join-Path -Path $Folder -ChildPath 'msi-monitor-service.xml'))
    foreach ($entry in $document.DocumentElement.SelectNodes('env')) {
        [Environment]::SetEnvironmentVariable($entry.GetAttribute('name'), $entry.GetAttribute('value'))
    }
    & (Join-Path -Path $Folder -ChildPath 'node.exe') (Join-Path -Path $Folder -ChildPath 'msi-monitor.mjs') @args
}

function Install-Monitor {
    if (-not $Program -or -not (Test-Path -LiteralPath $Program -PathType Leaf)) {
        throw "-Program is '$Program': expected the path of msi-monitor.mjs"
    }
    foreach ($text in $Setting) {
        if ($text -notmatch '^(MSI_MONITOR_[A-Z_]+|DOCKER_HOST)=') {
            throw "-Setting is '$text': expected NAME=value with the name of a setting of the monitor"
        }
    }
    # Beside the folder and not among temporary files: what runs as LocalSystem is kept where only administrators write.
    $staging = "$Folder.$([Guid]::NewGuid().ToString('N'))"
    try {
        # All that can fail for a reason outside of this machine comes before the service that runs is removed.
        [void] (New-Item -ItemType Directory -Path $staging)
        Copy-Program $Node $downloads.Node (Join-Path -Path $staging -ChildPath 'node.exe')
        Copy-Program $WinSW $downloads.WinSW (Join-Path -Path $staging -ChildPath 'msi-monitor-service.exe')
        Copy-Item -LiteralPath $Program -Destination (Join-Path -Path $staging -ChildPath 'msi-monitor.mjs')
        Write-Configuration (@(Get-InstalledSetting) + $Setting) (Join-Path -Path $staging -ChildPath 'msi-monitor-service.xml')
        Initialize-LogFolder
        Remove-MonitorService
        [void] (New-Item -ItemType Directory -Path $Folder -Force)
        foreach ($file in Get-ChildItem -LiteralPath $staging -Force) {
            Copy-Item -LiteralPath $file.FullName -Destination $Folder -Force
        }
    }
    finally {
        Remove-Item -LiteralPath $staging -Recurse -Force -ErrorAction SilentlyContinue
    }
    Invoke-Wrapper 'install'
    Start-Monitor
    Write-Output "The service $serviceName runs; it logs to $LogFolder"
}

function Initialize-LogFolder {
    [void] (New-Item -ItemType Directory -Path $LogFolder -Force)
    # Everyone may write to folders in ProgramData unless it is said otherwise. By SID: SYSTEM and Administrators have
    # other names in other languages.
    Set-Access '/setowner' '*S-1-5-32-544'
    Set-Access '/inheritance:r' '/grant:r' '*S-1-5-18:(OI)(CI)F' '*S-1-5-32-544:(OI)(CI)F'
}

function Uninstall-Monitor {
    Remove-MonitorService
    if (-not (Test-Path -LiteralPath $wrapper)) {
        Write-Output "Nothing is installed in $Folder"
        return
    }
    if ($Unwire) {
        Invoke-Monitor 'unwire' '--all'
        if ($LASTEXITCODE -ne 0) {
            throw "Not every container could be unwired (exit code $LASTEXITCODE); the service is removed, $Folder is kept"
        }
    }
    # By name, and the folder only when nothing else is in it: it may be any folder.
    foreach ($name in 'node.exe', 'msi-monitor.mjs', 'msi-monitor-service.xml', 'msi-monitor-service.exe') {
        Remove-Item -LiteralPath (Join-Path -Path $Folder -ChildPath $name) -Force
    }
    if (-not (Get-ChildItem -LiteralPath $Folder -Force)) {
        Remove-Item -LiteralPath $Folder
    }
    Write-Output "The service $serviceName is removed; its log stays in $LogFolder"
}

$Folder = Get-PlainPath $Folder
$installedFolder = Get-InstalledFolder
if ($installedFolder) {
    $installedFolder = Get-PlainPath $installedFolder
    if ($Action -eq 'install' -and $PSBoundParameters.ContainsKey('Folder') -and $installedFolder -ne $Folder) {
        throw "The service $serviceName is installed in '$installedFolder', not in '$Folder': uninstall it first, or leave -Folder out"
    }
    $Folder = $installedFolder
}
$wrapper = Join-Path -Path $Folder -ChildPath 'msi-monitor-service.exe'

switch ($Action) {
    'install' { Install-Monitor }
    'start' { Start-Monitor }
    'stop' { Stop-Monitor }
    'restart' { Stop-Monitor; Start-Monitor }
    'status' {
        $service = Get-MonitorService
        if (-not $service) {
            Write-Output "There is no service $serviceName"
            exit 1
        }
        Write-Output "The service $serviceName is $($service.Status)"
        Invoke-Monitor 'status'
        exit $LASTEXITCODE
    }
    'uninstall' { Uninstall-Monitor }
}
