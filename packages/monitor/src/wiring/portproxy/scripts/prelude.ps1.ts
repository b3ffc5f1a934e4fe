/** What every script begins with, after its parameters. */
export const PRELUDE_PS1 = String.raw`
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$WarningPreference = 'SilentlyContinue'
$changes = @()
$step = ''
$failedStep = ''
$failure = ''
$failureId = ''
`;
