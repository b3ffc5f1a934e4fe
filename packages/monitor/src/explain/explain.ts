import { MsiProxyError, printable, silentLogger } from '@msi-proxy/shared';
import { nearest } from '@msi-proxy/shared/command-line';
import type { MonitorSettings } from '../config.ts';
import { createEngineClient } from '../docker/index.ts';
import { desiredState, sharersOf } from '../reconcile/desired-state.ts';
import { Inventory } from '../reconcile/inventory.ts';
import { fetchStatus } from '../status/index.ts';
import type { Terminal } from '../terminal/terminal.ts';
import { explanation, formatExplanation, type ExplanationFacts } from './explanation.ts';

export interface ExplainOptions {
  readonly settings: MonitorSettings;
  /** Name or id. */
  readonly container: string;
  readonly terminal: Terminal;
}

/**
 * `msi-monitor explain`: what a container's labels give it, in plain words. Works without a running monitor, which only tells
 * how it is with the guard.
 *
 * @throws {MsiProxyError} `MSI_CONTAINER_UNKNOWN`, or as {@link EngineClient} for an engine that cannot be asked
 */
export async function runExplain({ settings, container: wanted, terminal }: ExplainOptions): Promise<void> {
  const engine = createEngineClient({ dockerHost: settings.dockerHost, logger: silentLogger });
  const inventory = new Inventory(engine);
  await inventory.readAll({ mayMiss: true });
  const { snapshot } = inventory;
  const asked = await engine.inspectContainer(wanted);
  const container = snapshot.containers.find(({ id }) => id === asked?.id);
  if (container === undefined) {
    const meant = nearest(
      wanted,
      snapshot.containers.map(({ name }) => name),
    );
    const hint = meant === undefined ? '' : ` (did you mean "${printable(meant)}"?)`;
    throw new MsiProxyError('MSI_CONTAINER_UNKNOWN', `No container "${printable(wanted)}" runs${hint}`);
  }
  const plan = desiredState(snapshot, settings).clients.find(
    client => client.container.id === container.id,
  )?.plan;
  const guard = await guardOf(settings);
  const paragraphs = explanation({
    container,
    ...(plan !== undefined && { plan }),
    sharers: sharersOf(container.id, snapshot.containers),
    guard,
    redirects: guard !== 'unavailable' && ['auto', 'host'].includes(settings.wiring),
    unlabelledSharers: settings.unlabelledSharers,
  });
  terminal.write(formatExplanation(paragraphs, terminal));
}

/** Of the monitor that runs. What a former one has set may still hold, but nobody here can tell. */
async function guardOf({ listen }: MonitorSettings): Promise<ExplanationFacts['guard']> {
  return await fetchStatus(listen).then(
    ({ guard: { mode, state } }) =>
      state === 'unavailable' || (state === 'not-in-place' && mode !== 'off') ? state : mode,
    () => 'unknown',
  );
}
