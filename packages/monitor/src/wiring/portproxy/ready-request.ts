import { INSTANCE_HEADER, READY_PATH } from '@msi-proxy/shared';
import type { ReadyAnswer } from './observation.ts';

/** Asks whether a proxy answers there, by a program that Windows images have since 2018; past proxies of the environment. */
export function askArgv(address: string, port: number): string[] {
  const uri = `http://${address}:${port}${READY_PATH}`;
  return ['curl.exe', '--silent', '--include', '--noproxy', '*', '--max-time', '2', uri];
}

/** Reads the head of the answer as curl prints it; undefined when there is none. */
export function readAnswer(printed: string): ReadyAnswer | undefined {
  const lines = printed.split(/\r?\n/);
  // With `100 Continue` and the like there are several; the last one counts.
  const status = lines
    .map(line => /^HTTP\/\S+\s+(\d{3})\b/.exec(line)?.[1])
    .findLast(code => code !== undefined);
  if (status === undefined) return undefined;
  const prefix = `${INSTANCE_HEADER.toLowerCase()}:`;
  const header = lines.find(line => line.toLowerCase().startsWith(prefix)) ?? prefix;
  return { status: Number(status), instanceId: header.slice(prefix.length).trim() };
}
