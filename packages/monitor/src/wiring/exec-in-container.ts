import { MsiProxyError } from '@msi-proxy/shared';
import type { EngineClient } from '../docker/index.ts';
import type { ExecInContainer } from './client-namespace.ts';
import { PAUSED } from './portproxy/container-commands.ts';

/** Runs programs in containers by the engine. */
export function createExecInContainer(
  engine: Pick<EngineClient, 'inspectContainer' | 'runExec'>,
): ExecInContainer {
  return async (containerId, argv, options) => {
    const container = await engine.inspectContainer(containerId);
    if (container?.state === 'paused')
      throw new MsiProxyError('MSI_WIRING_NOT_APPLICABLE', `${container.name}: ${PAUSED}`);
    if (container?.state !== 'running')
      throw new MsiProxyError('MSI_NAMESPACE_GONE', 'The container does not run', {
        details: { containerId },
      });
    return await engine.runExec(containerId, argv, { ...options, user: '0' });
  };
}
