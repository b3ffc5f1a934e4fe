@rem On the PATH of the image, so that "msi-monitor" is a command as it is on Linux.
@node "%~dp0msi-monitor.mjs" %*
