# Puts Node next to this script and the folder on the PATH of the machine. Run while an image is built, as an
# administrator. A base image that has Node keeps its own.
#
#   NODE_VERSION  such as 24.21.0
#   NODE_SHA256   of node.exe, as the file SHASUMS256.txt of that version has it for win-x64/node.exe
#   NODE_DIST     where versions of Node are; https://nodejs.org/dist or a mirror of it

Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'
# Windows PowerShell draws its progress bar for every few bytes, which makes a download take minutes.
$ProgressPreference = 'SilentlyContinue'

$machinePath = [Environment]::GetEnvironmentVariable('Path', 'Machine')
[Environment]::SetEnvironmentVariable('Path', "$machinePath;$PSScriptRoot", 'Machine')

if (Get-Command -Name 'node.exe' -CommandType Application -ErrorAction SilentlyContinue) {
    Write-Output 'The base image has Node; none is downloaded.'
    exit 0
}

$uri = "$env:NODE_DIST/v$env:NODE_VERSION/win-x64/node.exe"
$node = Join-Path -Path $PSScriptRoot -ChildPath 'node.exe'
Write-Output "Downloading $uri"
[Net.ServicePointManager]::SecurityProtocol = [Net.SecurityProtocolType]::Tls12
Invoke-WebRequest -UseBasicParsing -Uri $uri -OutFile $node

$hash = (Get-FileHash -Algorithm SHA256 -LiteralPath $node).Hash
if ($hash -ne $env:NODE_SHA256) {
    Remove-Item -LiteralPath $node
    throw "The SHA-256 of $uri is $($hash.ToLowerInvariant()): expected $env:NODE_SHA256 (NODE_SHA256)"
}

$version = & $node --version
if ($LASTEXITCODE -ne 0 -or $version -ne "v$env:NODE_VERSION") {
    throw "$node does not run in this base image: it printed '$version' with exit code $LASTEXITCODE"
}
Write-Output "Node $version is installed."
