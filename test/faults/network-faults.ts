import { setTimeout as sleep } from 'node:timers/promises';
import { type Bench, type Fault } from './bench.ts';

const TABLE = 'msi_test_fault';
/** Of packets that come in, before anything else looks at them. */
const CHAIN = 'type filter hook prerouting priority -400;';

type Place = 'imds' | 'proxy';

export const NETWORK_FAULTS: readonly Fault[] = [
  {
    name: 'rules-flushed',
    title: 'Another program deletes or empties the table of packet rules, or empties DOCKER-USER',
    count: 3,
    run: async (bench, count) => {
      const deeds = [
        ['nft', 'delete', 'table', 'ip', 'msi_proxy'],
        ['nft', 'flush', 'table', 'ip', 'msi_proxy'],
        ['iptables', '--flush', 'DOCKER-USER'],
      ] as const;
      for (let round = 0; round < count; round += 1) {
        const { guard } = await bench.scenario.status();
        await bench.excuse(async () => {
          await bench.scenario.vm.exec(deeds[round % deeds.length]!);
          await bench.scenario.untilStatus(
            'the rules to be repaired',
            status => status.guard.repairs > guard.repairs,
          );
        });
        await bench.converge();
      }
      return 'until the monitor looks (every 10 s) there is no guard: what the stranger got then, it got from IMDS directly';
    },
  },
  lossy(
    'loss-to-imds',
    'Of five packets between proxy and IMDS one is lost',
    'imds',
    'numgen random mod 100 < 20 drop',
  ),
  lossy(
    'loss-to-clients',
    'Of five packets from clients to the proxy one is lost',
    'proxy',
    'numgen random mod 100 < 20 drop',
  ),
  blackHole('black-hole-to-imds', 'Nothing arrives at IMDS', 'imds'),
  blackHole('black-hole-to-clients', 'Nothing of clients arrives at the proxy', 'proxy'),
];

function lossy(name: string, title: string, place: Place, rule: string): Fault {
  return {
    name,
    title,
    count: 30,
    unit: 'second',
    fresh: place === 'imds',
    run: async (bench, count) => {
      // A lost packet is sent again, so nothing may fail.
      await withRule(bench, place, rule, async () => sleep(count * 1_000));
      await bench.converge();
      return undefined;
    },
  };
}

function blackHole(name: string, title: string, place: Place): Fault {
  return {
    name,
    title,
    count: 20,
    unit: 'second',
    fresh: place === 'imds',
    run: async (bench, count) => {
      await bench.excuse(async () => {
        await withRule(bench, place, 'drop', async () => sleep(count * 1_000));
        await bench.converge();
      });
      return undefined;
    },
  };
}

/** Packet rules, since not every kernel has netem. Only TCP port 80 is touched. */
async function withRule(
  bench: Bench,
  place: Place,
  rule: string,
  holds: () => Promise<unknown>,
): Promise<void> {
  const run = await runnerIn(bench, place);
  await run(['nft', 'add', 'table', 'ip', TABLE]);
  try {
    await run(['nft', `add chain ip ${TABLE} faults { ${CHAIN} }`]);
    await run(['nft', `add rule ip ${TABLE} faults tcp dport 80 ${rule}`]);
    await holds();
  } finally {
    await run(['nft', 'delete', 'table', 'ip', TABLE]);
  }
}

async function runnerIn(
  bench: Bench,
  place: Place,
): Promise<(argv: readonly [string, ...string[]]) => Promise<string>> {
  if (place === 'imds') return async argv => bench.scenario.vm.imds.exec(argv);
  const pid = await bench.pidOf('proxy');
  return async argv => bench.scenario.vm.exec(['nsenter', `--net=/proc/${pid}/ns/net`, ...argv]);
}
