# What only the IMDS of a real VM can tell. No token is asked for. Dot-sourced by verify-windows.ps1.

function Get-HostStatus {
    param([string] $Uri, [string] $Method = 'GET')
    $ErrorActionPreference = 'Continue'
    $digits = ([string] (& curl.exe --silent --noproxy '*' --max-time 10 --request $Method --header 'Metadata:true' --output NUL --write-out '%{http_code}' $Uri)) -replace '\D', ''
    if ($digits -eq '') { return 0 }
    [int] $digits
}

function Test-Azure {
    Test-Assumption 'imds-direct' {
        $plain = Start-IdleContainer -Role 'plain'
        $status = Get-HttpStatus -Container $plain -Uri "http://$ImdsAddress$VersionsPath"
        New-Observation -Holds ($status -eq 0) -Seen $(if ($status -eq 0) { 'no answer' } else { "HTTP $status" })
    }
    Test-Assumption 'imds-by-route' {
        $status = Get-HttpStatus -Container "$RunLabel-$RunId-router" -Uri "http://$ImdsAddress$VersionsPath"
        New-Observation -Holds ($status -ne 0) -Seen $(if ($status -eq 0) { 'no answer' } else { "HTTP $status" })
    }
    Test-Assumption 'imds-wrong-method' {
        $status = Get-HostStatus -Method 'DELETE' -Uri "http://$ImdsAddress/metadata/identity/info?api-version=2018-02-01"
        New-Observation -Holds ($status -eq 405) -Seen "HTTP $status"
    }
    Test-Assumption 'imds-unknown-category' {
        $status = Get-HostStatus -Uri "http://$ImdsAddress/metadata/nosuchcategory?api-version=2021-02-01"
        New-Observation -Holds ($status -eq 404) -Seen "HTTP $status"
    }
}
