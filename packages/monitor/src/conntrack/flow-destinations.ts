import { open, type FileHandle } from 'node:fs/promises';
import { type CommandRunner, IMDS_ADDRESS } from '@msi-proxy/shared';
import { runConntrack } from './run-conntrack.ts';

export interface Destination {
  readonly address: string;
  readonly port: number;
}

/** Of a namespace with very many connections only a program is to read the list, which passes on what is asked for. */
const MAX_FILE_BYTES = 64 * 1024;

/**
 * `tcp 6 119 SYN_SENT src=172.17.0.2 dst=169.254.169.254 sport=4567 dport=80 src=172.17.0.9 dst=172.17.0.2 sport=8080
 * dport=4567 …` as conntrack prints it, and with the protocol `ipv4 2` before it as the kernel does.
 */
const FLOW =
  /^(?:ipv4\s+\d+\s+)?tcp\s.*?\bdst=(?<asked>\S+) .*?\bsrc=(?<address>\S+) dst=\S+ sport=(?<port>\d+)/;

/**
 * Where TCP connections to IMDS go; those that nothing translates go to itself.
 *
 * @param runner runs programs in the network namespace
 * @param pid a process that is in it: its file of `/proc` is read, which takes a hundredth of the time of a program. Where
 *   there is no such file (`CONFIG_NF_CONNTRACK_PROCFS`), or it is large, the program is run
 * @throws {MsiProxyError} `MSI_WIRING_NO_CAPABILITY`, `MSI_WIRING_COMMAND`
 */
export async function readDestinations(runner: CommandRunner, pid?: number): Promise<Destination[]> {
  const listed = pid === undefined ? undefined : await readFlowFile(pid);
  return parseDestinations(listed ?? (await runConntrack(runner, '-L', [], 'read connections')));
}

/** Each once, in the order in which they are listed. */
export function parseDestinations(listed: string): Destination[] {
  const found = new Map<string, Destination>();
  for (const line of listed.split('\n')) {
    const { asked, address, port } = FLOW.exec(line)?.groups ?? {};
    if (asked === IMDS_ADDRESS && address !== undefined)
      found.set(`${address}:${port}`, { address, port: Number(port) });
  }
  return [...found.values()];
}

/** @returns undefined when it cannot be read, or not whole */
async function readFlowFile(pid: number): Promise<string | undefined> {
  const file = await open(`/proc/${pid}/net/nf_conntrack`).catch(() => undefined);
  try {
    return file && (await readWhole(file));
  } catch {
    return undefined;
  } finally {
    await file?.close();
  }
}

async function readWhole(file: FileHandle): Promise<string | undefined> {
  const buffer = Buffer.allocUnsafe(MAX_FILE_BYTES);
  let length = 0;
  while (length < buffer.length) {
    const { bytesRead } = await file.read(buffer, length, buffer.length - length);
    if (bytesRead === 0) return buffer.toString('latin1', 0, length);
    length += bytesRead;
  }
  return undefined;
}
