import { silentLogger } from '@msi-proxy/shared';
import { createEngineClient } from './dockerode-client.ts';

/** Somebody waits at a keyboard. */
const TIMEOUT_MILLIS = 2_000;

/** The names of the containers that run, for completion on command lines. */
export async function runningContainerNames(dockerHost: string): Promise<string[]> {
  const engine = createEngineClient({
    dockerHost,
    logger: silentLogger,
    timeouts: { callMillis: TIMEOUT_MILLIS },
  });
  const listed = await engine.listContainers();
  return listed.map(({ name }) => name).filter(name => name !== '');
}
