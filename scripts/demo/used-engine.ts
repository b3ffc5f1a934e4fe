import { CLIENT_LABEL, PROXY_LABEL } from '@msi-proxy/shared';
import type { Docker } from '../../test/lab/index.ts';

/**
 * Refuses an engine on which the product, or what is meant to use it, is already: a monitor there would send its clients to
 * the demo's proxy, and they would be given tokens of the emulator.
 *
 * @throws {Error} that names the containers
 */
export async function refuseUsedEngine(docker: Docker): Promise<void> {
  for (const label of [PROXY_LABEL, CLIENT_LABEL]) {
    const listed = await docker([
      'ps',
      '--all',
      '--filter',
      `label=${label}`,
      '--format',
      '{{.Names}} ({{.Status}})',
    ]);
    const containers = listed.split('\n').filter(line => line.trim() !== '');
    if (containers.length === 0) continue;
    throw new Error(
      `the engine at DOCKER_HOST already has containers with the label ${label}, which the demo's proxy could serve: ${containers.join(', ')}. Use another engine, or remove them first`,
    );
  }
}
