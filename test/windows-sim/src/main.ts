#!/usr/bin/env node
import { basename, dirname } from 'node:path';
import { programName } from './program-name.ts';
import { runInMachine } from './run-in-machine.ts';

/** One file under the names of all programs; under its own it is the container's first process. */
const [, invokedAs = '', ...argv] = process.argv;
const name = programName(basename(invokedAs));

if (name === 'windows-sim') {
  // Only here, so that the programs start fast.
  const { boot } = await import('./boot.ts');
  process.exit(await boot(argv, dirname(invokedAs)));
} else {
  const user = process.getuid?.() === 0 ? 'ContainerAdministrator' : 'ContainerUser';
  const { exitCode, stdoutBase64, stderrBase64 } = await runInMachine({ name, argv, user });
  process.stdout.write(Buffer.from(stdoutBase64, 'base64'));
  process.stderr.write(Buffer.from(stderrBase64, 'base64'));
  process.exitCode = exitCode;
}
