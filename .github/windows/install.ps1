# Installs plansocket on Windows: fetches the release for this machine and verifies its checksum. No administrator.
#   irm URL/install.ps1 | iex
#   & ([scriptblock]::Create((irm URL/install.ps1))) -Version 1.2.3
# PLANSOCKET_RELEASES_URL names a mirror, PLANSOCKET_PREFIX a folder. Works with Windows PowerShell 5.1 and newer.
& {
  param(
    [string]$Prefix = $env:PLANSOCKET_PREFIX,
    [string]$Version = 'latest',
    [switch]$Uninstall
  )
  $ErrorActionPreference = 'Stop'
  # Drawing its bar makes a download in Windows PowerShell many times slower.
  $ProgressPreference = 'SilentlyContinue'

  # Filled in when a release is built; a checkout names nobody.
  $repository = ''

  $releases = $env:PLANSOCKET_RELEASES_URL
  if (-not $releases -and $repository) { $releases = "$repository/releases" }
  if (-not $Prefix) { $Prefix = Join-Path $env:LOCALAPPDATA 'Programs\plansocket' }
  if ($Prefix -like '~*') { $Prefix = $HOME + $Prefix.Substring(1) }
  $target = Join-Path $Prefix 'plansocket.exe'

  function Stop-Install([string]$Message, [string]$Hint) { throw "plansocket: $Message`n  $Hint" }

  # A redirect from TLS to an address without it is no release.
  function Get-Release([string]$Url, [string]$File) {
    $reply = Invoke-WebRequest -Uri $Url -OutFile $File -UseBasicParsing -PassThru
    $end = $reply.BaseResponse.ResponseUri
    if (-not $end -and $reply.BaseResponse.RequestMessage) { $end = $reply.BaseResponse.RequestMessage.RequestUri }
    if ($end -and $Url -like 'https:*' -and $end.Scheme -ne 'https') {
      Stop-Install "$Url leads to an address without TLS" 'Nothing was installed; ask whoever runs that place.'
    }
  }

  if ($Uninstall) {
    if (-not (Test-Path -LiteralPath $target)) { Stop-Install "$target is not there" 'Give the -Prefix that it was installed with.' }
    Write-Host 'First stop what runs and take back clients'' settings, where there are any:'
    Write-Host '  plansocket service uninstall; plansocket stop; plansocket setup CLIENT --undo'
    Remove-Item -LiteralPath $target -Force
    Write-Host "Removed $target. The login of the Codex CLI and settings were not touched."
    return
  }

  if (-not $releases) {
    Stop-Install 'this copy of install.ps1 names no place for releases' 'Take it from the releases page of an owner you trust.'
  }
  if ($releases -notmatch '^(https://|http://(localhost|127\.[\d.]+|\[::1\])[:/])') {
    Stop-Install "$releases is not an https address" 'Checksums from an address without TLS prove nothing; nothing was installed.'
  }
  $releases = $releases.TrimEnd('/')
  [Net.ServicePointManager]::SecurityProtocol = [Net.ServicePointManager]::SecurityProtocol -bor [Net.SecurityProtocolType]::Tls12

  # A shell for Intel on an ARM machine is told the wrong architecture by its environment.
  $arch = "$([System.Runtime.InteropServices.RuntimeInformation]::OSArchitecture)"
  switch ($arch) {
    'X64' { $platform = 'windows-x64' }
    'Arm64' { $platform = 'windows-arm64' }
    default { Stop-Install "there is no release for $arch" 'It needs 64-bit Windows.' }
  }
  $archive = "plansocket-$platform.zip"
  if ($Version -eq 'latest') { $base = "$releases/latest/download" } else { $base = "$releases/download/v$($Version.TrimStart('v'))" }

  New-Item -ItemType Directory -Force -Path $Prefix | Out-Null
  $work = Join-Path $Prefix ".install-$PID"
  New-Item -ItemType Directory -Force -Path $work | Out-Null
  try {
    Get-Release "$base/SHA256SUMS" (Join-Path $work 'SHA256SUMS')
    $sums = Get-Content -LiteralPath (Join-Path $work 'SHA256SUMS')
    if (-not ($sums -match '^[0-9a-fA-F]{64} [ *]')) {
      Stop-Install "what came from $base/SHA256SUMS is no list of checksums" 'A network with a page to sign in on may answer in its place: open a browser, then try again.'
    }
    $line = $sums | Where-Object { $_ -match "^[0-9a-fA-F]{64} [ *]$([regex]::Escape($archive))$" } | Select-Object -First 1
    if (-not $line) { Stop-Install "this release has no $archive" 'Nothing was installed.' }
    Write-Host "Fetching $base/$archive ..."
    $file = Join-Path $work $archive
    Get-Release "$base/$archive" $file
    if ((Get-FileHash -LiteralPath $file -Algorithm SHA256).Hash -ne $line.Substring(0, 64)) {
      Stop-Install "the checksum of $archive is wrong" 'Nothing was installed; the file was damaged or is not what was released.'
    }
    Expand-Archive -LiteralPath $file -DestinationPath $work -Force
    $new = Join-Path $work 'plansocket.exe'
    # What came from the network may carry a mark that makes SmartScreen ask; the checksum has told what it is.
    Unblock-File -LiteralPath $new
    $says = & $new --version
    if ($LASTEXITCODE -ne 0) { Stop-Install 'the program does not run on this machine' 'Nothing was installed; please report your system.' }
    # A program that runs can be renamed, but not written over.
    if (Test-Path -LiteralPath $target) {
      Remove-Item -LiteralPath "$target.old" -Force -ErrorAction SilentlyContinue
      Move-Item -LiteralPath $target -Destination "$target.old" -Force
    }
    Move-Item -LiteralPath $new -Destination $target
    Write-Host "Installed $says to $target"
  } finally {
    Remove-Item -LiteralPath $work -Recurse -Force -ErrorAction SilentlyContinue
    # It stays where a relay still runs from it; the next install removes it.
    Remove-Item -LiteralPath "$target.old" -Force -ErrorAction SilentlyContinue
  }

  $path = [Environment]::GetEnvironmentVariable('Path', 'User')
  if (($path -split ';') -notcontains $Prefix) {
    [Environment]::SetEnvironmentVariable('Path', "$Prefix;$path", 'User')
    $env:Path = "$Prefix;$env:Path"
    Write-Host "  $Prefix was added to your PATH; terminals that are open do not know it yet."
  }
  Write-Host '  Next: plansocket serve (with a Codex CLI login) or plansocket demo (without)'
} @args
