@echo off
rem Waits until the proxy says that it serves this container, then starts the given command and ends with its exit code.
rem
rem   MSI_CLIENT_WAIT_SECONDS  how long it waits at most, in seconds; default 30
rem   MSI_CLIENT_WAIT_FAILURE  what then: "exit" (default) ends the container with code 1, "continue" starts the command
rem
rem "--check" asks once and says by its exit code whether the container is served.
rem
rem Needs only what nanoserver has too: cmd, curl and ping.

setlocal EnableExtensions DisableDelayedExpansion
set "ready_url=http://169.254.169.254/.msi-proxy/ready"
set "answer_file=%TEMP%\msi-client-answer-%RANDOM%.txt"
set "prefix="

if not "%~1"=="--check" goto settings
call :ask
if "%status%"=="200" exit /b 0
call :describe
exit /b 1

:settings
set "wait_seconds=30"
if not defined MSI_CLIENT_WAIT_SECONDS goto failure_setting
set "is_number="
rem Through loop variables, so that no character of a value is taken for a part of a command.
for /f "tokens=1,2 delims=0123456789" %%a in ('set MSI_CLIENT_WAIT_SECONDS') do if /i "%%a%%b"=="MSI_CLIENT_WAIT_SECONDS=" set "is_number=1"
if not defined is_number goto refuse_seconds
set "wait_seconds=%MSI_CLIENT_WAIT_SECONDS%"
if not "%wait_seconds:~4%"=="" goto refuse_seconds
if "%wait_seconds:~0,1%"=="0" if not "%wait_seconds:~1%"=="" goto refuse_seconds

:failure_setting
set "on_failure=exit"
if defined MSI_CLIENT_WAIT_FAILURE for /f "tokens=1,* delims==" %%n in ('set MSI_CLIENT_WAIT_FAILURE') do if /i "%%n"=="MSI_CLIENT_WAIT_FAILURE" (
  if not "%%o"=="exit" if not "%%o"=="continue" (
    >&2 echo msi-client: MSI_CLIENT_WAIT_FAILURE is "%%o": expected "exit" or "continue"
    exit /b 78
  )
  set "on_failure=%%o"
)

if "%~1"=="" (
  >&2 echo msi-client: no command given: name one after the image, or in CMD of an image that is based on this one
  exit /b 64
)

set "elapsed=0"
:wait
call :ask
if "%status%"=="200" goto run
if %elapsed% geq %wait_seconds% goto late
rem A second; "timeout" needs a console.
ping -n 2 127.0.0.1 >nul 2>&1
set /a elapsed+=1
goto wait

:late
set "prefix=msi-client: not served after %wait_seconds% s: "
call :describe >&2
if "%on_failure%"=="exit" exit /b 1
>&2 echo msi-client: starting the command all the same (MSI_CLIENT_WAIT_FAILURE=continue)

:run
if exist "%answer_file%" del "%answer_file%"
endlocal
%*
exit /b %ERRORLEVEL%

:refuse_seconds
for /f "tokens=1,* delims==" %%n in ('set MSI_CLIENT_WAIT_SECONDS') do if /i "%%n"=="MSI_CLIENT_WAIT_SECONDS" >&2 echo msi-client: MSI_CLIENT_WAIT_SECONDS is "%%o": expected a whole number of seconds from 0 to 9999
exit /b 78

rem Asks the proxy once. Sets status (000: no answer) and adds the whole seconds that it took to elapsed.
:ask
set "status=000"
if exist "%answer_file%" del "%answer_file%"
for /f "tokens=1,2 delims=. " %%s in ('curl --silent --noproxy * --max-time 3 --output "%answer_file%" --write-out "%%{http_code} %%{time_total}" %ready_url% 2^>nul') do (
  set "status=%%s"
  set /a elapsed+=%%t
)
exit /b 0

rem Prints what is missing, in words.
:describe
if "%status%"=="000" goto describe_silence
set "body="
if exist "%answer_file%" for /f "usebackq delims=" %%l in ("%answer_file%") do (
  set "body=1"
  echo %prefix%the proxy answered %status%: %%l
)
if not defined body echo %prefix%the proxy answered %status%
if exist "%answer_file%" del "%answer_file%"
exit /b 0

:describe_silence
echo %prefix%nothing answers at %ready_url%: no proxy serves, or the monitor has not wired this container (is it labelled MSIClientContainer?)
exit /b 0
