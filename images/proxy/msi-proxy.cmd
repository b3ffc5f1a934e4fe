@rem On the PATH of the image, so that "msi-proxy" is a command as it is on Linux.
@node "%~dp0msi-proxy.mjs" %*
