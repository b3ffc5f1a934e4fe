@rem On the PATH of the image, so that "imds-emulator" is a command as it is on Linux.
@node "%~dp0imds-emulator.mjs" %*
