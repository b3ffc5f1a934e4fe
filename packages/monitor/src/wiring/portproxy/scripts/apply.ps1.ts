/**
 * Makes the forwarding true, and changes only what differs. It does not tell whether it succeeded: the observation that
 * follows it does.
 *
 * Facts from protocol.md 4.2: both stores are written unless one is named; an address that is still `Tentative` makes the
 * port proxy fail for good; `Duplicate` is avoided by sending no probes (DadTransmits 0); a rule is listed also when the
 * service does not run; a changed rule may need more than `set`.
 *
 * A rule outlives a restart of its container, and the address that it leads to may be another container's by then: one that
 * is not the wanted one goes before anything else, so that it serves in no state in which the script can end.
 */
export const APPLY_PS1 = String.raw`
try {
  $step = 'stale-rule'
  $stale = $false
  foreach ($line in @(netsh interface portproxy show v4tov4)) {
    if (($line -match $OwnRule) -and (-not ($line -match $WantedRule))) { $stale = $true }
  }
  if ($stale) {
    $output = @(netsh interface portproxy delete v4tov4 listenport=80 "listenaddress=$ImdsAddress" protocol=tcp)
    foreach ($line in @(netsh interface portproxy show v4tov4)) {
      if ($line -match $OwnRule) { throw 'netsh did not delete it' }
    }
    $changes += 'retarget'
  }

  $step = 'interface'
  $own = @(Get-NetIPAddress -AddressFamily IPv4 -IPAddress $ClientAddress -PolicyStore ActiveStore -ErrorAction SilentlyContinue)
  if ($own.Count -eq 0) { throw 'no-interface' }
  $interfaceIndex = $own[0].InterfaceIndex

  $step = 'dad'
  $ipInterface = @(Get-NetIPInterface -AddressFamily IPv4 -InterfaceIndex $interfaceIndex -PolicyStore ActiveStore)
  if ($ipInterface[0].DadTransmits -ne 0) {
    Set-NetIPInterface -AddressFamily IPv4 -InterfaceIndex $interfaceIndex -DadTransmits 0 -PolicyStore ActiveStore
    $changes += 'dad'
  }

  $step = 'persistent-address'
  try {
    $persistent = @(Get-NetIPAddress -AddressFamily IPv4 -IPAddress $ImdsAddress -PolicyStore PersistentStore -ErrorAction SilentlyContinue)
    if ($persistent.Count -gt 0) {
      Remove-NetIPAddress -IPAddress $ImdsAddress -PolicyStore PersistentStore -Confirm:$false
      $changes += 'persistent-address'
    }
  } catch {
    # It does no harm to this container; the observation tells that it is still there.
    $persistent = @()
  }

  $step = 'address'
  $entries = @(Get-NetIPAddress -AddressFamily IPv4 -IPAddress $ImdsAddress -PolicyStore ActiveStore -ErrorAction SilentlyContinue)
  $usable = $false
  if ($entries.Count -eq 1) {
    $state = [string]$entries[0].AddressState
    $placed = ($entries[0].InterfaceIndex -eq $interfaceIndex) -and ($entries[0].PrefixLength -eq 32)
    $usable = $placed -and $entries[0].SkipAsSource -and (($state -eq 'Preferred') -or ($state -eq 'Tentative'))
  }
  if (-not $usable) {
    if ($entries.Count -gt 0) {
      # The rule goes before the address that it listens on.
      $output = @(netsh interface portproxy delete v4tov4 listenport=80 "listenaddress=$ImdsAddress" protocol=tcp)
      Remove-NetIPAddress -IPAddress $ImdsAddress -PolicyStore ActiveStore -Confirm:$false
      $changes += 'wrong-address'
    }
    $added = New-NetIPAddress -InterfaceIndex $interfaceIndex -IPAddress $ImdsAddress -PrefixLength 32 -SkipAsSource $true -PolicyStore ActiveStore
    $changes += 'address'
  }

  $step = 'preferred'
  $state = ''
  $polls = 0
  while (($state -ne 'Preferred') -and ($state -ne 'Duplicate') -and ($polls -lt 40)) {
    if ($polls -gt 0) { Start-Sleep -Milliseconds 250 }
    $entries = @(Get-NetIPAddress -AddressFamily IPv4 -IPAddress $ImdsAddress -PolicyStore ActiveStore -ErrorAction SilentlyContinue)
    if ($entries.Count -gt 0) { $state = [string]$entries[0].AddressState }
    $polls += 1
  }
  if ($state -eq 'Duplicate') {
    Remove-NetIPAddress -IPAddress $ImdsAddress -PolicyStore ActiveStore -Confirm:$false
    throw 'duplicate'
  }
  if ($state -ne 'Preferred') { throw 'not-preferred' }

  $step = 'service'
  $service = Get-Service -Name iphlpsvc -ErrorAction SilentlyContinue
  if ($null -eq $service) { throw 'no-service' }
  if ([string]$service.Status -ne 'Running') {
    if ([string]$service.StartType -eq 'Disabled') { Set-Service -Name iphlpsvc -StartupType Manual }
    Start-Service -Name iphlpsvc
    $changes += 'service'
  }

  $step = 'rule'
  $works = $false
  $listed = $false
  foreach ($line in @(netsh interface portproxy show v4tov4)) {
    if ($line -match $WantedRule) { $listed = $true }
  }
  if ($listed) {
    foreach ($line in @(curl.exe --silent --include --noproxy '*' --max-time 2 $ImdsUri)) {
      if ($line -match $WantedAnswer) { $works = $true }
    }
  }
  if (-not $works) {
    $reachable = $false
    foreach ($line in @(curl.exe --silent --include --noproxy '*' --max-time 2 $ProxyUri)) {
      if ($line -match $WantedAnswer) { $reachable = $true }
    }
    # What follows ends connections, which is no remedy for a proxy that does not answer.
    if (-not $reachable) { throw 'proxy-unreachable' }
    foreach ($remedy in @('set', 'replace', 'restart')) {
      if (-not $works) {
        if ($remedy -eq 'set') {
          $output = @(netsh interface portproxy set v4tov4 listenport=80 "listenaddress=$ImdsAddress" "connectport=$ProxyPort" "connectaddress=$ProxyAddress" protocol=tcp)
        }
        if ($remedy -eq 'replace') {
          $output = @(netsh interface portproxy delete v4tov4 listenport=80 "listenaddress=$ImdsAddress" protocol=tcp)
          $output = @(netsh interface portproxy add v4tov4 listenport=80 "listenaddress=$ImdsAddress" "connectport=$ProxyPort" "connectaddress=$ProxyAddress" protocol=tcp)
        }
        if ($remedy -eq 'restart') { Restart-Service -Name iphlpsvc -Force }
        $changes += $remedy
        $polls = 0
        while ((-not $works) -and ($polls -lt 6)) {
          if ($polls -gt 0) { Start-Sleep -Milliseconds 250 }
          foreach ($line in @(curl.exe --silent --include --noproxy '*' --max-time 2 $ImdsUri)) {
            if ($line -match $WantedAnswer) { $works = $true }
          }
          $polls += 1
        }
      }
    }
  }
} catch {
  $failedStep = $step
  $failure = [string]$_.Exception.Message
  $failureId = [string]$_.FullyQualifiedErrorId
}
`;
