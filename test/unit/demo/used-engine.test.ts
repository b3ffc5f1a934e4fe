import assert from 'node:assert/strict';
import { refuseUsedEngine } from '../../../scripts/demo/used-engine.ts';
import type { Docker } from '../../lab/index.ts';

/** The client of an engine that has these containers, by label. */
function engineWith(containers: Readonly<Record<string, string>>): Docker {
  return args => {
    assert.ok(args.includes('--all'));
    const label = args.find(argument => argument.startsWith('label='))!.slice('label='.length);
    return Promise.resolve(containers[label] ?? '');
  };
}

describe('the demo on an engine that is there', () => {
  it('does not begin beside a proxy, whose clients it would serve', async () => {
    await assert.rejects(refuseUsedEngine(engineWith({ MSIProxyContainer: 'msi-proxy (Up 3 days)' })), {
      message: /MSIProxyContainer.*: msi-proxy \(Up 3 days\)\. Use another engine/,
    });
  });

  it('does not begin beside clients, also of a proxy that is away', async () => {
    await assert.rejects(
      refuseUsedEngine(engineWith({ MSIClientContainer: 'orders (Up 3 days)\nreports (Created)' })),
      /MSIClientContainer.*: orders \(Up 3 days\), reports \(Created\)\./,
    );
  });

  it('begins where there are none', async () => {
    await refuseUsedEngine(engineWith({}));
  });
});
