# The steps of the wiring, one at a time, in containers without our labels. Dot-sourced by verify-windows.ps1.

$ImdsAddress = '169.254.169.254'
$VersionsPath = '/metadata/versions'

# Each of these runs in a container. $Imds is 169.254.169.254 and $Own the container's address.
$DadOffScript = @'
$entry = @(Get-NetIPAddress -AddressFamily IPv4 -IPAddress $Own -PolicyStore ActiveStore)[0]
Set-NetIPInterface -AddressFamily IPv4 -InterfaceIndex $entry.InterfaceIndex -DadTransmits 0 -PolicyStore ActiveStore
$interface = @(Get-NetIPInterface -AddressFamily IPv4 -InterfaceIndex $entry.InterfaceIndex -PolicyStore ActiveStore)[0]
ConvertTo-Json -Compress -InputObject @{ dadTransmits = [int] $interface.DadTransmits }
'@

$AddAddressScript = @'
if ($Loopback -eq 'yes') { $Own = '127.0.0.1' }
$entry = @(Get-NetIPAddress -AddressFamily IPv4 -IPAddress $Own -PolicyStore ActiveStore)[0]
$added = New-NetIPAddress -InterfaceIndex $entry.InterfaceIndex -IPAddress $Imds -PrefixLength 32 -SkipAsSource $true -PolicyStore ActiveStore
$state = ''
$polls = 0
while ($state -ne 'Preferred' -and $state -ne 'Duplicate' -and $polls -lt 40) {
    if ($polls -gt 0) { Start-Sleep -Milliseconds 250 }
    $new = @(Get-NetIPAddress -AddressFamily IPv4 -IPAddress $Imds -PolicyStore ActiveStore)[0]
    $state = [string] $new.AddressState
    $polls += 1
}
$persistent = @(Get-NetIPAddress -AddressFamily IPv4 -IPAddress $Imds -PolicyStore PersistentStore -ErrorAction SilentlyContinue)
ConvertTo-Json -Compress -InputObject @{
    state = $state; polls = $polls; prefixLength = [int] $new.PrefixLength; skipAsSource = [bool] $new.SkipAsSource
    persistent = $persistent.Count
}
'@

$ServiceScript = @'
$service = Get-Service -Name iphlpsvc
$before = [string] $service.Status
$startType = [string] $service.StartType
if ($before -ne 'Running') {
    if ($startType -eq 'Disabled') { Set-Service -Name iphlpsvc -StartupType Manual }
    Start-Service -Name iphlpsvc
}
ConvertTo-Json -Compress -InputObject @{ before = $before; startType = $startType; after = [string] (Get-Service -Name iphlpsvc).Status }
'@

# The lines of the listing that are a rule of ours, and whether something listens.
$ObserveScript = @'
$rules = @()
foreach ($line in @(netsh interface portproxy show v4tov4)) {
    if ($line -match '^\s*169\.254\.169\.254\s+80\s+\S+\s+\d+\s*$') { $rules += [string] $line }
}
$listeners = @()
foreach ($entry in @(Get-NetTCPConnection -State Listen -LocalPort 80 -ErrorAction SilentlyContinue)) { $listeners += [string] $entry.LocalAddress }
$addresses = @(Get-NetIPAddress -AddressFamily IPv4 -IPAddress $Imds -ErrorAction SilentlyContinue)
ConvertTo-Json -Compress -InputObject @{ rules = $rules; listeners = $listeners; addresses = $addresses.Count }
'@

# As the proxy does it: without -p, without an interface, and read by the shape of the lines.
$RouteScript = @'
function Read-Rows {
    $rows = @()
    foreach ($line in @(route.exe print -4)) {
        if ($line -match '^\s*169\.254\.169\.254\s+255\.255\.255\.255\s+\S.*\s+\d+\.\d+\.\d+\.\d+\s+\d+\s*$') { $rows += ([string] $line).Trim() -replace '\s+', ' ' }
    }
    $rows
}
$gateway = ''
$lowest = [int]::MaxValue
foreach ($line in @(route.exe print -4)) {
    if ($line -match '^\s*0\.0\.0\.0\s+0\.0\.0\.0\s+(\d+\.\d+\.\d+\.\d+)\s+\d+\.\d+\.\d+\.\d+\s+(\d+)\s*$' -and [int] $Matches[2] -lt $lowest) {
        $gateway = $Matches[1]
        $lowest = [int] $Matches[2]
    }
}
$output = @(route.exe add $Imds mask 255.255.255.255 $gateway metric 1)
$added = @(Read-Rows)
$output = @(route.exe delete $Imds mask 255.255.255.255 $gateway)
$deleted = @(Read-Rows)
$output = @(route.exe add $Imds mask 255.255.255.255 $gateway metric 1)
ConvertTo-Json -Compress -InputObject @{ gateway = $gateway; added = $added; deleted = $deleted }
'@

# What a container without the label could try: the address of a client, $Client, as the way to 169.254.169.254.
$NeighbourScript = @'
$output = @(route.exe add $Imds mask 255.255.255.255 $Client metric 1)
$rows = @()
foreach ($line in @(route.exe print '-4')) {
    if ($line -match ('^\s*169\.254\.169\.254\s+255\.255\.255\.255\s+' + $Client + '\s')) { $rows += [string] $line }
}
ConvertTo-Json -Compress -InputObject @{ rows = $rows }
'@

function Get-RuleArguments {
    param([string] $Verb, [string] $Target)
    $arguments = @('netsh', 'interface', 'portproxy', $Verb, 'v4tov4', 'listenport=80', "listenaddress=$ImdsAddress")
    if ($Verb -ne 'delete') { $arguments += @('connectport=80', "connectaddress=$Target") }
    $arguments + @('protocol=tcp')
}

# Address and rule in a container, without looking whether they work.
function Add-Forwarding {
    param([string] $Container, [string] $Target, [switch] $KeepDad)
    $values = @{ Imds = $ImdsAddress; Own = (Get-ContainerAddress $Container); Loopback = 'no' }
    if (-not $KeepDad) { [void] (Read-FromContainer -Container $Container -Script $DadOffScript -Values $values) }
    $address = Read-FromContainer -Container $Container -Script $AddAddressScript -Values $values
    [void] (Read-FromContainer -Container $Container -Script $ServiceScript)
    if ($Target) { [void] (Invoke-InContainer -Container $Container -AllowFailure -Command (Get-RuleArguments -Verb 'set' -Target $Target)) }
    $address
}

function Get-Forwarding {
    param([string] $Container)
    Read-FromContainer -Container $Container -Script $ObserveScript -Values @{ Imds = $ImdsAddress }
}

# How many requests of ours an emulator has logged.
function Get-RequestCount {
    param([string] $Emulator)
    @((Invoke-Docker @('logs', $Emulator)).Lines | Where-Object { $_ -and $_.Contains($VersionsPath) }).Count
}

# Whether a request from the container to 169.254.169.254 comes to this emulator within some seconds.
function Test-Reaches {
    param([string] $Container, [string] $Emulator, [int] $Attempts = 6)
    for ($attempt = 0; $attempt -lt $Attempts; $attempt += 1) {
        $before = Get-RequestCount $Emulator
        $status = Get-HttpStatus -Container $Container -Uri "http://$ImdsAddress$VersionsPath"
        if ($status -eq 200 -and (Get-RequestCount $Emulator) -gt $before) { return $true }
        Start-Sleep -Milliseconds 500
    }
    $false
}

function Test-WiringSteps {
    param([string] $EmulatorA, [string] $EmulatorB)
    $first = Start-IdleContainer -Role 'first'
    $own = Get-ContainerAddress $first
    $targetA = Get-ContainerAddress $EmulatorA
    $targetB = Get-ContainerAddress $EmulatorB
    $values = @{ Imds = $ImdsAddress; Own = $own; Loopback = 'no' }

    Test-Assumption 'process-isolation' {
        $isolation = [string] (Get-ContainerState $first).HostConfig.Isolation
        if ($isolation -eq '' -or $isolation -eq 'default') { $isolation = (Invoke-Docker @('info', '--format', '{{.Isolation}}')).Text.Trim() }
        New-Observation -Holds ($isolation -eq 'process') -Seen "isolation $isolation"
    }
    Test-Assumption 'inspect-platform' {
        $platform = [string] (Get-ContainerState $first).Platform
        New-Observation -Holds ($platform -eq 'windows') -Seen "platform $platform"
    }
    Test-Assumption 'exec-administrator' {
        $user = Read-FromContainer -Container $first -Script @'
$identity = [System.Security.Principal.WindowsIdentity]::GetCurrent()
$principal = New-Object System.Security.Principal.WindowsPrincipal $identity
ConvertTo-Json -Compress -InputObject @{
    name = [string] $env:USERNAME
    administrator = $principal.IsInRole([System.Security.Principal.WindowsBuiltInRole]::Administrator)
}
'@
        New-Observation -Holds ($user.name -eq 'ContainerAdministrator' -and $user.administrator) -Seen "$($user.name), administrator: $($user.administrator)"
    }
    Test-Assumption 'exec-encoded-command' {
        # Quotes of both kinds, a dollar sign, a percent sign, o with diaeresis and a hiragana letter.
        $text = 'a "b" ''c'' $d %e% ' + [char] 0xF6 + [char] 0x3042
        $watch = [System.Diagnostics.Stopwatch]::StartNew()
        $codes = @(Invoke-ScriptInContainer -Container $first -Values @{ Text = $text } -Script '($Text.ToCharArray() | ForEach-Object { [int] $_ }) -join [char] 44')[-1]
        $wanted = ($text.ToCharArray() | ForEach-Object { [int] $_ }) -join ','
        New-Observation -Holds ($codes -eq $wanted) -Seen "$(if ($codes -eq $wanted) { 'the same' } else { $codes }), $($watch.ElapsedMilliseconds) ms for one exec"
    }
    Test-Assumption 'container-user-refused' {
        $errorId = @(Invoke-ScriptInContainer -Container $first -User 'ContainerUser' -Values $values -Script @'
$entry = @(Get-NetIPAddress -AddressFamily IPv4 -IPAddress $Own -PolicyStore ActiveStore)[0]
try { $added = New-NetIPAddress -InterfaceIndex $entry.InterfaceIndex -IPAddress $Imds -PrefixLength 32 -PolicyStore ActiveStore; 'none' }
catch { $_.FullyQualifiedErrorId }
'@)[-1]
        New-Observation -Holds ($errorId -match '\bSystem Error 5\b') -Seen "error id: $errorId"
    }
    Test-Assumption 'cmdlets' {
        $found = Read-FromContainer -Container $first -Script @'
$missing = @()
foreach ($name in @('Get-NetIPAddress', 'New-NetIPAddress', 'Remove-NetIPAddress', 'Get-NetIPInterface', 'Set-NetIPInterface',
        'Get-NetTCPConnection', 'Get-Service', 'Set-Service', 'Start-Service', 'Restart-Service', 'ConvertTo-Json',
        'netsh.exe', 'curl.exe', 'route.exe', 'cmd.exe')) {
    if (-not (Get-Command -Name $name -ErrorAction SilentlyContinue)) { $missing += $name }
}
ConvertTo-Json -Compress -InputObject @{ missing = $missing; version = [string] $PSVersionTable.PSVersion }
'@
        $missing = @($found.missing)
        New-Observation -Holds ($missing.Count -eq 0) -Seen "PowerShell $($found.version), missing: $(if ($missing.Count -eq 0) { 'none' } else { $missing -join ', ' })"
    }
    Test-Assumption 'interface-by-address' {
        $seen = Read-FromContainer -Container $first -Values $values -Script @'
$entries = @(Get-NetIPAddress -AddressFamily IPv4 -IPAddress $Own -PolicyStore ActiveStore -ErrorAction SilentlyContinue)
ConvertTo-Json -Compress -InputObject @{ count = $entries.Count; interfaces = @($entries | ForEach-Object { $_.InterfaceAlias + ' ' + $_.InterfaceIndex }) }
'@
        New-Observation -Holds ($seen.count -eq 1) -Seen "${own}: $(@($seen.interfaces) -join ', ')"
    }
    Test-Assumption 'dad-transmits' {
        $interface = Read-FromContainer -Container $first -Script $DadOffScript -Values $values
        New-Observation -Holds ($interface.dadTransmits -eq 0) -Seen "DadTransmits $($interface.dadTransmits)"
    }
    Test-Assumption 'address-preferred' {
        $script:FirstAddress = Read-FromContainer -Container $first -Script $AddAddressScript -Values $values
        $holds = $FirstAddress.state -eq 'Preferred' -and $FirstAddress.prefixLength -eq 32 -and $FirstAddress.skipAsSource
        New-Observation -Holds $holds -Seen "$($FirstAddress.state) after $($FirstAddress.polls) looks 250 ms apart, /$($FirstAddress.prefixLength), SkipAsSource $($FirstAddress.skipAsSource)"
    }
    Test-Assumption 'active-store-only' {
        $host4 = @(Get-NetIPAddress -IPAddress $ImdsAddress -PolicyStore PersistentStore -ErrorAction SilentlyContinue).Count
        $inside = $FirstAddress.persistent
        New-Observation -Holds ($inside -eq 0 -and $host4 -eq 0) -Seen "persistent entries: $inside in the container, $host4 on the host"
    }
    Test-Assumption 'iphlpsvc-runs' {
        $service = Read-FromContainer -Container $first -Script $ServiceScript
        New-Observation -Holds ($service.after -eq 'Running') -Seen "$($service.before) ($($service.startType)) at first, then $($service.after)"
    }
    Test-Assumption 'portproxy-listens' {
        [void] (Invoke-InContainer -Container $first -AllowFailure -Command (Get-RuleArguments -Verb 'set' -Target $targetA))
        $script:FirstForwarding = Get-Forwarding $first
        New-Observation -Holds (@($FirstForwarding.listeners) -contains $ImdsAddress) -Seen "listens on port 80: $(@($FirstForwarding.listeners) -join ', ')"
    }
    Test-Assumption 'portproxy-output' {
        $rules = @($FirstForwarding.rules | Where-Object { $_ })
        New-Observation -Holds ($rules.Count -eq 1) -Seen "$($rules.Count) line(s): $($rules -join ' | ')"
    }
    Test-Assumption 'portproxy-relays' {
        $status = Get-HttpStatus -Container $first -Uri "http://$ImdsAddress$VersionsPath"
        New-Observation -Holds ($status -eq 200) -Seen "HTTP $status"
    }
    Test-CmdOutput -Container $first
    Test-Assumption 'retarget-set' {
        [void] (Invoke-InContainer -Container $first -AllowFailure -Command (Get-RuleArguments -Verb 'set' -Target $targetB))
        $script:Retargeted = Test-Reaches -Container $first -Emulator $EmulatorB
        New-Observation -Holds $Retargeted -Seen "the new target answers after set: $Retargeted"
    }
    Test-Assumption 'retarget-works' {
        $remedy = 'set'
        if (-not $Retargeted) {
            $remedy = 'delete and add'
            [void] (Invoke-InContainer -Container $first -AllowFailure -Command (Get-RuleArguments -Verb 'delete'))
            [void] (Invoke-InContainer -Container $first -AllowFailure -Command (Get-RuleArguments -Verb 'add' -Target $targetB))
            $script:Retargeted = Test-Reaches -Container $first -Emulator $EmulatorB
        }
        if (-not $Retargeted) {
            $remedy = 'a restart of iphlpsvc'
            [void] (Invoke-ScriptInContainer -Container $first -Script 'Restart-Service -Name iphlpsvc -Force')
            $script:Retargeted = Test-Reaches -Container $first -Emulator $EmulatorB
        }
        New-Observation -Holds $Retargeted -Seen $(if ($Retargeted) { "the new target answers after $remedy" } else { 'nothing helped' })
    }
    Test-Assumption 'dad-two-clients' {
        $second = Start-IdleContainer -Role 'second'
        $address = Add-Forwarding -Container $second -Target $targetA
        $still = Test-Reaches -Container $first -Emulator $EmulatorB -Attempts 2
        $answers = Test-Reaches -Container $second -Emulator $EmulatorA
        New-Observation -Holds ($address.state -eq 'Preferred' -and $answers -and $still) -Seen "second: $($address.state), answered: $answers; first still answered: $still"
    }
    Test-Assumption 'dad-duplicate' {
        $third = Start-IdleContainer -Role 'third'
        $address = Add-Forwarding -Container $third -KeepDad
        New-Observation -Holds ($address.state -eq 'Duplicate') -Seen "$($address.state) after $($address.polls) looks"
    }
    Test-Assumption 'loopback-placement' {
        $fourth = Start-IdleContainer -Role 'fourth'
        $onLoopback = @{ Imds = $ImdsAddress; Own = (Get-ContainerAddress $fourth); Loopback = 'yes' }
        $address = Read-FromContainer -Container $fourth -Script $AddAddressScript -Values $onLoopback
        [void] (Read-FromContainer -Container $fourth -Script $ServiceScript)
        [void] (Invoke-InContainer -Container $fourth -AllowFailure -Command (Get-RuleArguments -Verb 'set' -Target $targetA))
        $answers = Test-Reaches -Container $fourth -Emulator $EmulatorA
        New-Observation -Holds ($address.state -eq 'Preferred') -Seen "$($address.state), answered through a rule there: $answers"
    }
    Test-Assumption 'restart-forgets' {
        [void] (Invoke-Docker @('restart', '-t', '1', $first))
        $after = Get-Forwarding $first
        New-Observation -Holds ($after.addresses -eq 0) -Seen "addresses $($after.addresses), rules $(@($after.rules).Count), listening: $(@($after.listeners) -contains $ImdsAddress)"
    }
    Test-Assumption 'shared-network' {
        $owner = Start-IdleContainer -Role 'owner'
        $helper = Start-IdleContainer -Role 'helper' -Options @('--network', "container:$owner")
        $shared = @{ Imds = $ImdsAddress; Own = (Get-ContainerAddress $owner); Loopback = 'no' }
        [void] (Read-FromContainer -Container $helper -Script $DadOffScript -Values $shared)
        [void] (Read-FromContainer -Container $helper -Script $AddAddressScript -Values $shared)
        [void] (Read-FromContainer -Container $helper -Script $ServiceScript)
        [void] (Invoke-InContainer -Container $helper -AllowFailure -Command (Get-RuleArguments -Verb 'set' -Target $targetA))
        $answers = Test-Reaches -Container $owner -Emulator $EmulatorA
        New-Observation -Holds $answers -Seen "a request of the sharing container was answered: $answers"
    }
    Test-Assumption 'network-connect' {
        $network = "$RunLabel-$RunId-net"
        [void] (Invoke-Docker @('network', 'create', '--driver', 'nat', '--label', "$RunLabel=$RunId", $network))
        [void] (Invoke-Docker @('network', 'connect', $network, $first))
        $addresses = @((Get-ContainerState $first).NetworkSettings.Networks.PSObject.Properties | ForEach-Object { $_.Value.IPAddress } | Where-Object { $_ })
        New-Observation -Holds ($addresses.Count -eq 2) -Seen "addresses: $($addresses -join ', ')"
    }
    Test-Assumption 'pause-refused' {
        $paused = Invoke-Docker -AllowFailure -Arguments @('pause', $first)
        if ($paused.ExitCode -ne 0) { return New-Observation -Holds $true -Seen "pause: $($paused.Errors)" }
        $executed = Invoke-InContainer -Container $first -AllowFailure -Command @('whoami')
        [void] (Invoke-Docker -AllowFailure -Arguments @('unpause', $first))
        New-Observation -Holds ($executed.ExitCode -ne 0) -Seen "paused; exec: exit code $($executed.ExitCode) $($executed.Errors)"
    }
    Test-Assumption 'route-add' {
        $router = Start-IdleContainer -Role 'router'
        $script:Route = Read-FromContainer -Container $router -Script $RouteScript -Values @{ Imds = $ImdsAddress }
        $rows = @($Route.added)
        New-Observation -Holds ($rows.Count -eq 1 -and $rows[0].Contains(" $($Route.gateway) ")) -Seen "by $($Route.gateway): $($rows -join ' | ')"
    }
    Test-Assumption 'route-delete' {
        New-Observation -Holds (@($Route.deleted).Count -eq 0) -Seen "rows left: $(@($Route.deleted).Count)"
    }
}

# One line for the command interpreter, as the monitor starts it where there is no PowerShell.
function Invoke-CmdLine {
    param([string] $Container, [string] $Line)
    Invoke-InContainer -Container $Container -AllowFailure -Command @('cmd', '/d', '/s', '/c', $Line)
}

# The index of the interface with this address: rows of addresses stand under a heading with the index and a colon.
function Get-InterfaceIndex {
    param([string] $Container, [string] $Address)
    $index = 0
    foreach ($line in (Invoke-CmdLine -Container $Container -Line 'netsh interface ipv4 show ipaddresses').Output) {
        if ($line -match '\s(\d+(\.\d+){3})\s*$') {
            if ($Matches[1] -eq $Address) { return $index }
        }
        elseif ($line -match '(^|\s)(\d+): ') { $index = [int] $Matches[2] }
    }
    0
}

# What the command interpreter's variant reads, in a container where the forwarding works.
function Test-CmdOutput {
    param([string] $Container)
    Test-Assumption 'cmd-output' {
        $index = Get-InterfaceIndex -Container $Container -Address (Get-ContainerAddress $Container)
        $service = @((Invoke-CmdLine -Container $Container -Line 'sc query iphlpsvc').Output | ForEach-Object {
                if ($_ -match '^\s+\S.*?:\s+([0-9a-f]+)\b') { $Matches[1] }
            })
        $listening = @((Invoke-CmdLine -Container $Container -Line 'netstat -ano -p tcp').Output | Where-Object {
                $_ -match '^\s*TCP\s+169\.254\.169\.254:80\s+\S+:0\s'
            })
        $holds = $index -gt 0 -and $service.Count -ge 2 -and $service[1] -eq '4' -and $listening.Count -eq 1
        New-Observation -Holds $holds -Seen "interface $index, numbers of sc query: $($service -join ' '), listening rows: $($listening.Count)"
    }
}

function Test-NanoServer {
    param([string] $EmulatorA)
    Test-Assumption 'nanoserver-tools' {
        [void] (Invoke-Docker @('pull', $NanoImage))
        $script:Nano = Start-IdleContainer -Role 'nano' -Image $NanoImage
        $lacking = @()
        foreach ($line in @('netsh interface portproxy show v4tov4', 'netsh interface ipv4 show ipaddresses', 'sc query iphlpsvc',
                'netstat -ano -p tcp', 'route print -4', 'curl.exe --version')) {
            $tried = Invoke-CmdLine -Container $Nano -Line $line
            if ($tried.ExitCode -ne 0) { $lacking += "$line ($($tried.ExitCode))" }
        }
        New-Observation -Holds ($lacking.Count -eq 0) -Seen $(if ($lacking.Count -eq 0) { 'all work' } else { 'do not work: ' + ($lacking -join '; ') })
    }
    Test-Assumption 'nanoserver-no-powershell' {
        $tried = Invoke-InContainer -Container $Nano -AllowFailure -Command @('powershell', '-NoProfile', '-Command', 'exit 3')
        New-Observation -Holds (@(126, 127) -contains $tried.ExitCode) -Seen "exit code $($tried.ExitCode): $($tried.Errors)"
    }
    Test-Assumption 'nanoserver-portproxy' {
        $own = Get-ContainerAddress $Nano
        $index = Get-InterfaceIndex -Container $Nano -Address $own
        if ($index -eq 0) { throw "netsh interface ipv4 show ipaddresses has no row of $own" }
        [void] (Invoke-CmdLine -Container $Nano -Line ("netsh interface ipv4 set interface $index dadtransmits=0 store=active" +
                "&netsh interface ipv4 add address $index $ImdsAddress 255.255.255.255 store=active skipassource=true" +
                '&net start iphlpsvc'))
        Start-Sleep -Seconds 2
        [void] (Invoke-CmdLine -Container $Nano -Line ((Get-RuleArguments -Verb 'set' -Target (Get-ContainerAddress $EmulatorA)) -join ' '))
        $answers = Test-Reaches -Container $Nano -Emulator $EmulatorA
        New-Observation -Holds $answers -Seen "answered through the rule: $answers"
    }
}
