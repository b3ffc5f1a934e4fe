import { setTimeout as delay } from 'node:timers/promises';
import { type AppDefinition } from './app-definition.ts';
import { type MarathonClient } from './marathon-client.ts';

export interface DeployOptions {
  readonly marathon: Pick<MarathonClient, 'put' | 'deployments' | 'app'>;
  readonly timeoutMillis: number;
  readonly pollMillis?: number;
  readonly say: (text: string) => void;
}

const DEFAULT_POLL_MILLIS = 2_000;

/**
 * Submits the definitions one after another and waits until each is deployed.
 *
 * @throws Error that says which app does not come up and what to look at; what was deployed before stays
 */
export async function deploy(definitions: readonly AppDefinition[], options: DeployOptions): Promise<void> {
  for (const definition of definitions) await deployOne(definition, options);
}

async function deployOne(definition: AppDefinition, options: DeployOptions): Promise<void> {
  const { id } = definition;
  const { marathon, timeoutMillis, pollMillis = DEFAULT_POLL_MILLIS, say } = options;
  const { deploymentId, version } = await marathon.put(definition);
  say(`${id}: submitted, deployment ${deploymentId}`);

  const deadline = performance.now() + timeoutMillis;
  while ((await marathon.deployments()).includes(deploymentId)) {
    if (performance.now() > deadline) throw new Error(await describeStall(id, options));
    await delay(pollMillis);
  }
  const state = await marathon.app(id);
  if (state.version !== version || state.tasksRunning < state.instances) {
    throw new Error(
      `${id}: the deployment ended, yet ${state.tasksRunning} of ${state.instances} instances run` +
        (state.version === version ? '' : ', of another version: somebody reverted or replaced it'),
    );
  }
  say(`${id}: ${state.tasksRunning} of ${state.instances} instances run`);
}

async function describeStall(id: string, { marathon, timeoutMillis }: DeployOptions): Promise<string> {
  const { instances, tasksRunning } = await marathon.app(id);
  return (
    `${id}: after ${timeoutMillis / 1_000} s ${tasksRunning} of ${instances} instances run. ` +
    'An instance that waits has no agent: each agent takes one, so --instances must not exceed their number, and ' +
    'Windows agents need the attribute os:windows. One that starts over and over shows why in its sandbox (stderr).'
  );
}
