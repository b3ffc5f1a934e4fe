/** Takes the forwarding away. The rule goes before the address that it listens on (protocol.md 4.2). */
export const REMOVE_PS1 = String.raw`
try {
  $step = 'rule'
  foreach ($line in @(netsh interface portproxy show v4tov4)) {
    if ($line -match $OwnRule) {
      $output = @(netsh interface portproxy delete v4tov4 listenport=80 "listenaddress=$ImdsAddress" protocol=tcp)
      $changes += 'rule'
    }
  }

  $step = 'address'
  foreach ($store in @('PersistentStore', 'ActiveStore')) {
    $entries = @(Get-NetIPAddress -AddressFamily IPv4 -IPAddress $ImdsAddress -PolicyStore $store -ErrorAction SilentlyContinue)
    if ($entries.Count -gt 0) {
      Remove-NetIPAddress -IPAddress $ImdsAddress -PolicyStore $store -Confirm:$false
      $changes += 'address'
    }
  }
} catch {
  $failedStep = $step
  $failure = [string]$_.Exception.Message
  $failureId = [string]$_.FullyQualifiedErrorId
}
`;
