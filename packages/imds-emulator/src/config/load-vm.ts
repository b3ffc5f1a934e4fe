import { readFile } from 'node:fs/promises';
import { messageOf, MsiProxyError } from '@msi-proxy/shared';
import { formatProblem } from '../decode/decoder.ts';
import { DEFAULT_VM } from '../vm/default-vm.ts';
import { parseVirtualMachine } from '../vm/parse-vm.ts';
import type { VirtualMachine } from '../vm/virtual-machine.ts';

/**
 * Reads the VM description that `IMDS_EMULATOR_VM` names; an empty path is the default VM.
 *
 * @throws {MsiProxyError} `MSI_SETTINGS_INVALID` when the file cannot be read or used, naming every problem in it
 */
export async function loadVirtualMachine(path: string): Promise<VirtualMachine> {
  if (path === '') return DEFAULT_VM;
  let document: unknown;
  try {
    document = JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    throw invalid(path, `expected a JSON file, but: ${messageOf(cause)}`, cause);
  }
  const decoded = parseVirtualMachine(document);
  if (!decoded.ok) throw invalid(path, decoded.problems.map(formatProblem).join('; '));
  return decoded.value;
}

function invalid(path: string, reason: string, cause?: unknown): MsiProxyError {
  return new MsiProxyError('MSI_SETTINGS_INVALID', `IMDS_EMULATOR_VM is "${path}": ${reason}`, { cause });
}
