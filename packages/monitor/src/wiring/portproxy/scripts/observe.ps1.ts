/**
 * Reads everything anew and prints it as one line of JSON after a line that announces it: other lines may be somebody
 * else's. Enumerations are printed by name, since ConvertTo-Json writes them as numbers, and only ASCII, since output is in
 * the OEM code page, where the second byte of a Japanese character may be a backslash.
 */
export const OBSERVE_PS1 = String.raw`
$interfaceIndex = 0
$addresses = @()
$persistentAddresses = 0
$service = ''
$rules = @()
$listeners = @()
$answer = @()
try {
  $step = 'observe-address'
  foreach ($entry in @(Get-NetIPAddress -AddressFamily IPv4 -IPAddress $ClientAddress -PolicyStore ActiveStore -ErrorAction SilentlyContinue)) {
    $interfaceIndex = [int]$entry.InterfaceIndex
  }
  foreach ($entry in @(Get-NetIPAddress -AddressFamily IPv4 -IPAddress $ImdsAddress -PolicyStore ActiveStore -ErrorAction SilentlyContinue)) {
    $addresses += @{
      interfaceIndex = [int]$entry.InterfaceIndex
      prefixLength = [int]$entry.PrefixLength
      state = [string]$entry.AddressState
      skipAsSource = [bool]$entry.SkipAsSource
    }
  }
  $persistent = @(Get-NetIPAddress -AddressFamily IPv4 -IPAddress $ImdsAddress -PolicyStore PersistentStore -ErrorAction SilentlyContinue)
  $persistentAddresses = $persistent.Count

  $step = 'observe-service'
  foreach ($entry in @(Get-Service -Name iphlpsvc -ErrorAction SilentlyContinue)) { $service = [string]$entry.Status }

  $step = 'observe-rule'
  foreach ($line in @(netsh interface portproxy show v4tov4)) {
    if ($line -match $AnyRule) { $rules += [string]$line -replace '[^ -~]', ' ' }
  }

  $step = 'observe-listener'
  foreach ($entry in @(Get-NetTCPConnection -State Listen -LocalPort 80 -ErrorAction SilentlyContinue)) {
    $listeners += [string]$entry.LocalAddress
  }

  $step = 'observe-answer'
  # Without the address, the request would leave the container.
  if ($addresses.Count -gt 0) {
    foreach ($line in @(curl.exe --silent --include --noproxy '*' --max-time 2 $ImdsUri)) {
      if ($line -match $AnswerHead) { $answer += [string]$line -replace '[^ -~]', ' ' }
    }
  }
} catch {
  if ($failedStep -eq '') {
    $failedStep = $step
    $failure = [string]$_.Exception.Message
    $failureId = [string]$_.FullyQualifiedErrorId
  }
}
$report = @{
  user = [string]$env:USERNAME
  changes = $changes
  failedStep = $failedStep
  failure = $failure -replace '[^ -~]', '?'
  failureId = $failureId -replace '[^ -~]', '?'
  interfaceIndex = $interfaceIndex
  addresses = $addresses
  persistentAddresses = $persistentAddresses
  service = $service
  rules = $rules
  listeners = $listeners
  answer = $answer
}
'msi-proxy-report'
ConvertTo-Json -InputObject $report -Compress -Depth 3
`;
