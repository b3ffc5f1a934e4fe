import { setTimeout as sleep } from 'node:timers/promises';
import { IMDS_ADDRESS } from '@msi-proxy/shared';
import { type Bench, type Fault } from './bench.ts';
import { VM_ADDRESS, type Argv } from './lab.ts';

const TABLE = 'msi_test_fault';
/** Of packets that come in, before anything else looks at them. */
const CHAIN = 'type filter hook prerouting priority -400;';

const LOSS = 'numgen random mod 100 < 20 drop';

type Place = 'imds' | 'proxy';
type Run = (argv: Argv) => Promise<string>;

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
      return undefined;
    },
  },
  lossy('loss-to-imds', 'Of five packets between proxy and IMDS one is lost', 'imds', LOSS),
  {
    name: 'loss-to-clients',
    title: 'Of five packets from clients to the proxy one is lost',
    count: 30,
    unit: 'second',
    run: async (bench, count) => {
      // One request in three hundred loses its first packet four times in a row, and the fifth one is sent after 31 s.
      await bench.excuse(async () => {
        await withRule(bench, 'proxy', LOSS, async () => sleep(count * 1_000));
      });
      await bench.converge();
      return undefined;
    },
  },
  {
    name: 'duplicates',
    title: 'All packets from clients to the proxy and from IMDS to the proxy arrive twice',
    count: 20,
    unit: 'second',
    fresh: true,
    run: async (bench, count) => {
      await withDuplicates(bench, async () => sleep(count * 1_000));
      await bench.converge();
      return undefined;
    },
  },
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

/** A copy of each packet goes the same way as the packet itself, by the gateway. Fails when no packet was doubled. */
async function withDuplicates(bench: Bench, holds: () => Promise<unknown>): Promise<void> {
  const { vm } = bench.scenario;
  const client = await runnerInContainer(bench, 'alpha');
  const gateway = await bench.scenario.docker('inspect', '--format', '{{.NetworkSettings.Gateway}}', 'alpha');
  const places = [
    { run: client, rule: `ip daddr ${IMDS_ADDRESS} counter dup to ${gateway.trim()}` },
    {
      run: async (argv: Argv) => vm.imds.exec(argv),
      rule: `ip saddr ${IMDS_ADDRESS} counter dup to ${VM_ADDRESS}`,
    },
  ];
  for (const { run, rule } of places) {
    await run(['nft', 'add', 'table', 'ip', TABLE]);
    await run(['nft', `add chain ip ${TABLE} faults { type filter hook output priority 400; }`]);
    await run(['nft', `add rule ip ${TABLE} faults ${rule}`]);
  }
  try {
    await holds();
    for (const { run } of places) {
      const listing = await run(['nft', 'list', 'table', 'ip', TABLE]);
      if (!/packets [1-9]/.test(listing)) throw new Error(`no packet was doubled: ${listing}`);
    }
  } finally {
    for (const { run } of places) await run(['nft', 'delete', 'table', 'ip', TABLE]);
  }
}

async function runnerIn(bench: Bench, place: Place): Promise<Run> {
  if (place === 'imds') return async argv => bench.scenario.vm.imds.exec(argv);
  return await runnerInContainer(bench, 'proxy');
}

async function runnerInContainer(bench: Bench, container: string): Promise<Run> {
  const pid = await bench.pidOf(container);
  return async argv => bench.scenario.vm.exec(['nsenter', `--net=/proc/${pid}/ns/net`, ...argv]);
}
