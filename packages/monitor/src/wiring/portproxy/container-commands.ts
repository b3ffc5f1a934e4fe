import { MsiProxyError, type CommandResult } from '@msi-proxy/shared';
import type { EngineClient } from '../../docker/index.ts';
import type { WirableClient } from '../wiring-method.ts';

/** Windows' account for administration in containers (learn.microsoft.com, "Secure Windows containers"). */
const ADMINISTRATOR = 'ContainerAdministrator';

/**
 * A script waits at most 10 s for the address, 30 s for the service (Start-Service), and 3 times 14 s for an answer; to
 * start PowerShell takes seconds on a busy machine.
 */
const TIMEOUT_MILLIS = 120_000;

/** What the engine answers for a program that is not there or cannot be executed, and what a shell does. */
const NOT_STARTED_EXIT_CODES: readonly number[] = [126, 127];

/** Runs programs in one container, as its administrator. */
export interface ContainerCommands {
  /**
   * @returns the result; `undefined` when the program could not be started
   * @throws {MsiProxyError} `MSI_NAMESPACE_GONE` when the container does not run; `MSI_WIRING_NOT_APPLICABLE` while it is
   *   paused; those of the engine
   */
  run(argv: readonly string[]): Promise<CommandResult | undefined>;
}

export function containerCommands(
  engine: Pick<EngineClient, 'runExec' | 'inspectContainer'>,
  { containerId, name }: WirableClient,
  signal: AbortSignal,
): ContainerCommands {
  return {
    async run(argv) {
      try {
        const options = { user: ADMINISTRATOR, timeoutMillis: TIMEOUT_MILLIS, signal };
        const result = await engine.runExec(containerId, argv, options);
        return NOT_STARTED_EXIT_CODES.includes(result.exitCode) ? undefined : result;
      } catch (error) {
        signal.throwIfAborted();
        // The engine refuses commands for containers that are paused (409) or gone in one way or another: ask it.
        const container = await engine.inspectContainer(containerId).catch(() => undefined);
        if (container?.state === 'running') throw error;
        if (container?.state === 'paused') {
          throw new MsiProxyError('MSI_WIRING_NOT_APPLICABLE', `${name}: ${PAUSED}`, { cause: error });
        }
        throw new MsiProxyError('MSI_NAMESPACE_GONE', `The container ${name} does not run`, { cause: error });
      }
    },
  };
}

/** Why a paused container is not wired, or not wired anew. */
export const PAUSED = 'it is paused, and the engine runs no command in it until it is unpaused';
