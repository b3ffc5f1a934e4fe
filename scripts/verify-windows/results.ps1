# What is checked, what was seen, the table and the report. Dot-sourced by verify-windows.ps1.

# The checks of checks.json, in the order in which they are run.
function Read-Checks {
    $file = Join-Path $CheckFolder 'checks.json'
    # In Windows PowerShell 5.1 an array comes as one object.
    [System.IO.File]::ReadAllText($file) | ConvertFrom-Json | ForEach-Object { $_ }
}

function Write-CheckList {
    Read-Checks | ForEach-Object {
        New-Object PSObject -Property @{
            Check      = $_.id
            Needed     = $(if ($_.relied) { 'yes' } else { 'no' })
            Assumption = $_.assumption
            Expected   = $_.expected
        }
    } | Format-Table -Property @('Check', 'Needed', 'Assumption', 'Expected') -Wrap | Out-String -Width 160 | Write-Host
    Write-Host 'Needed: the product relies on it. Otherwise it has another way, and the answer helps to choose.'
    Write-Host 'Those whose names begin with imds- are run with -Azure only, those with service- with -Service only.'
}

# What a check gives back: whether the assumption holds, and what was seen.
function New-Observation {
    param([bool] $Holds, [string] $Seen)
    New-Object PSObject -Property @{ Holds = $Holds; Seen = $Seen }
}

$Results = New-Object System.Collections.Generic.List[object]

# Runs the check with this id. What it throws is what was seen; later checks are run all the same.
function Test-Assumption {
    param(
        [Parameter(Mandatory = $true)] [string] $Id,
        [Parameter(Mandatory = $true)] [scriptblock] $Check
    )
    Write-Host "  $Id ..." -NoNewline
    $watch = [System.Diagnostics.Stopwatch]::StartNew()
    try {
        $observation = @(& $Check)[-1]
        $holds = [bool] $observation.Holds
        $seen = [string] $observation.Seen
    }
    catch {
        $holds = $false
        $seen = 'error: ' + $_.Exception.Message
    }
    Add-Result -Id $Id -Holds $holds -Seen $seen -Milliseconds $watch.ElapsedMilliseconds
}

function Add-Result {
    param([string] $Id, [bool] $Holds, [string] $Seen, [long] $Milliseconds)
    $definition = @(Read-Checks | Where-Object { $_.id -eq $Id })[0]
    if ($null -eq $definition) { throw "checks.json has no check $Id" }
    $status = 'differs'
    if ($Holds) { $status = 'pass' }
    elseif ($definition.relied) { $status = 'FAIL' }
    $Results.Add((New-Object PSObject -Property @{
                id           = $Id
                assumption   = $definition.assumption
                expected     = $definition.expected
                relied       = [bool] $definition.relied
                seen         = $Seen
                status       = $status
                milliseconds = $Milliseconds
            }))
    Write-Host " $status"
}

# Checks that were not come to, because one that they build on stopped the run or because they were not asked for.
function Add-SkippedResults {
    param([string] $Reason)
    foreach ($definition in Read-Checks) {
        if (@($Results | Where-Object { $_.id -eq $definition.id }).Count -gt 0) { continue }
        $why = $Reason
        if ($definition.only -and $OptionsGiven -notcontains $definition.only) { $why = "run with $($definition.only) only" }
        $Results.Add((New-Object PSObject -Property @{
                    id           = $definition.id
                    assumption   = $definition.assumption
                    expected     = $definition.expected
                    relied       = [bool] $definition.relied
                    seen         = $why
                    status       = 'not run'
                    milliseconds = 0
                }))
    }
}

function Write-ResultTable {
    $Results | Format-Table -Wrap -Property @(
        @{ Label = 'Check'; Expression = { $_.id } },
        @{ Label = 'Assumption'; Expression = { $_.assumption } },
        @{ Label = 'Expected'; Expression = { $_.expected } },
        @{ Label = 'Seen'; Expression = { $_.seen } },
        @{ Label = 'Result'; Expression = { $_.status } }
    ) | Out-String -Width 180 | Write-Host
}

# Writes the report as JSON, UTF-8 without a byte order mark.
function Export-Report {
    param([string] $Path, [object] $Machine, [hashtable] $Logs)
    $report = [ordered]@{
        schemaVersion = 1
        writtenAt     = [DateTime]::UtcNow.ToString('o')
        machine       = $Machine
        results       = $Results.ToArray()
        logs          = $Logs
    }
    $json = ConvertTo-Json -InputObject $report -Depth 6
    [System.IO.File]::WriteAllText($Path, $json, (New-Object System.Text.UTF8Encoding $false))
}
