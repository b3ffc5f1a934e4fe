import { readFile, stat, statfs } from 'node:fs/promises';
import {
  codeOf,
  type CommandOptions,
  type CommandResult,
  type CommandRunner,
  messageOf,
  MsiProxyError,
} from '@msi-proxy/shared';
import { lacksCapability } from '../vm-access.ts';
import { namespaceRunner } from './namespace-runner.ts';
import type { WirableClient } from './wiring-method.ts';

/** `NSFS_MAGIC` of linux/magic.h: the file system of namespace files. */
const NSFS_MAGIC = 0x6e736673;

/** What a shell answers for a program that cannot be executed, or is not there; exec does the same. */
const NOT_EXECUTABLE_EXIT_CODES: readonly number[] = [126, 127];

/** The way into a client's network namespace. */
export interface ClientNamespace {
  readonly runner: CommandRunner;
  /** `monitor`: programs come from the monitor's own file system. `container`: from the client's, as root there. */
  readonly programsFrom: 'monitor' | 'container';
  /** A process of the container that is in it, where this one sees the VM's processes. */
  readonly pid?: number;
}

export interface ClientNamespaces {
  /**
   * Finds the way in.
   *
   * @throws {MsiProxyError} `MSI_NAMESPACE_GONE`; `MSI_WIRING_NOT_APPLICABLE` for the namespace of the VM or the monitor;
   *   `MSI_WIRING_NO_CAPABILITY`, also when there is no way in: it says nothing about whether the container runs
   */
  enter(client: WirableClient): Promise<ClientNamespace>;
}

/**
 * Runs a program in a container, as root there.
 *
 * @throws {MsiProxyError} `MSI_NAMESPACE_GONE` when the container does not run; `MSI_WIRING_NOT_APPLICABLE` while it is
 *   paused
 */
export type ExecInContainer = (
  containerId: string,
  argv: readonly string[],
  options?: CommandOptions,
) => Promise<CommandResult>;

export interface ClientNamespacesDependencies {
  readonly runner: CommandRunner;
  /** Used where neither the engine's namespace files nor the host's processes can be seen. */
  readonly execInContainer?: ExecInContainer;
  readonly files?: NamespaceFiles;
}

/** What is asked of the file system, which tests replace. */
export interface NamespaceFiles {
  fileSystemType(path: string): Promise<number>;
  inode(path: string): Promise<number>;
  text(path: string): Promise<string>;
}

const localFiles: NamespaceFiles = {
  fileSystemType: async path => (await statfs(path)).type,
  inode: async path => (await stat(path)).ino,
  text: async path => await readFile(path, 'utf8'),
};

export function createClientNamespaces({
  runner,
  execInContainer,
  files = localFiles,
}: ClientNamespacesDependencies): ClientNamespaces {
  return {
    async enter(client) {
      const obstacles: string[] = [];
      for (const find of (await mayEnterFiles(files)) ? [sandboxFile, processFile] : [noRight]) {
        const found = await find(client, files);
        if ('path' in found) {
          const inode = await refuseOwnNamespace(found.path, files);
          const isInIt = (await files.inode(processPath(client.pid)).catch(() => undefined)) === inode;
          return {
            runner: namespaceRunner(runner, found.path),
            programsFrom: 'monitor',
            ...(isInIt && { pid: client.pid }),
          };
        }
        obstacles.push(found.obstacle);
      }
      if (execInContainer !== undefined) {
        return { runner: containerRunner(client, execInContainer, obstacles), programsFrom: 'container' };
      }
      throw new MsiProxyError(
        'MSI_WIRING_NO_CAPABILITY',
        `No way into the network namespace of ${client.name}: ${obstacles.join('; ')}`,
      );
    },
  };
}

type Found = { readonly path: string } | { readonly obstacle: string };

/** A process that sees the VM's processes, for other reasons, may still lack what setns(2) asks for. */
async function mayEnterFiles(files: NamespaceFiles): Promise<boolean> {
  const status = await files.text('/proc/self/status').catch(() => undefined);
  return !lacksCapability('SYS_ADMIN', () => status);
}

function noRight(): Promise<Found> {
  return Promise.resolve({ obstacle: 'the monitor has no capability SYS_ADMIN' });
}

/** The engine's file. The monitor sees a plain file where the mount did not reach it, and none where the folder did not. */
async function sandboxFile({ sandboxKey }: WirableClient, files: NamespaceFiles): Promise<Found> {
  if (!sandboxKey.startsWith('/')) return { obstacle: 'the engine names no namespace file' };
  return await unlessGone(async () => {
    const isNamespace = (await files.fileSystemType(sandboxKey)) === NSFS_MAGIC;
    return isNamespace ? { path: sandboxKey } : { obstacle: `${sandboxKey} is not a namespace` };
  });
}

/** The process's. Its id may be another's by now, or mean another one in the monitor's own process-id namespace. */
async function processFile({ pid, containerId }: WirableClient, files: NamespaceFiles): Promise<Found> {
  if (!Number.isInteger(pid) || pid <= 0) return { obstacle: 'the container has no process' };
  return await unlessGone(async () => {
    const controlGroups = await files.text(`/proc/${pid}/cgroup`);
    return controlGroups.includes(containerId)
      ? { path: processPath(pid) }
      : { obstacle: `process ${pid} is not one of the container` };
  });
}

function processPath(pid: number): string {
  return `/proc/${pid}/ns/net`;
}

async function unlessGone(find: () => Promise<Found>): Promise<Found> {
  try {
    return await find();
  } catch (error) {
    return { obstacle: messageOf(error) };
  }
}

/**
 * Rules that are meant for one container would hit the VM, and cut the proxy from IMDS.
 *
 * @returns its inode
 */
async function refuseOwnNamespace(path: string, files: NamespaceFiles): Promise<number> {
  const inode = await files.inode(path).catch((error: unknown) => {
    throw new MsiProxyError(
      codeOf(error) === 'EACCES' ? 'MSI_WIRING_NO_CAPABILITY' : 'MSI_NAMESPACE_GONE',
      `The network namespace ${path} cannot be opened: ${messageOf(error)}`,
      { cause: error },
    );
  });
  for (const own of ['/proc/self/ns/net', '/proc/1/ns/net']) {
    // Process 1 may be out of sight; the monitor itself is not.
    const isOwn = (await files.inode(own).catch(() => undefined)) === inode;
    if (isOwn) {
      throw new MsiProxyError(
        'MSI_WIRING_NOT_APPLICABLE',
        `The network namespace ${path} is that of the VM or of the monitor, which are never wired`,
      );
    }
  }
  return inode;
}

function containerRunner(
  { containerId, name }: WirableClient,
  execInContainer: ExecInContainer,
  obstacles: readonly string[],
): CommandRunner {
  return {
    async run(file, argv, options) {
      const result = await execInContainer(containerId, [file, ...argv], options);
      if (!NOT_EXECUTABLE_EXIT_CODES.includes(result.exitCode)) return result;
      const otherWays = `No other way into the network namespace of ${name}: ${obstacles.join('; ')}`;
      throw new MsiProxyError(
        'MSI_WIRING_NO_CAPABILITY',
        `The image of the container has no ${file}. ${otherWays}`,
        { details: { command: file } },
      );
    },
  };
}
