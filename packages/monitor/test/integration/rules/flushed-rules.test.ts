import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { IMDS_ADDRESS, silentLogger } from '@msi-proxy/shared';
import { createVmRules } from '../../../src/guard/nft-vm-rules.ts';
import type { VmRulesWanted } from '../../../src/guard/vm-rules.ts';
import { DEFAULT_NETWORK, MiniVm, type Namespace, PROXY_NETWORK } from './lab/mini-vm.ts';
import { until } from './lab/until.ts';
import { skipUnlessNamespaces } from './lab/requirements.ts';

const PROXY = { address: '172.31.250.2', port: 8080 };
const WANTED: VmRulesWanted = {
  guard: 'enforce',
  redirect: true,
  proxyBridge: { interfaceName: PROXY_NETWORK.bridge },
  proxyAddresses: [PROXY.address],
  target: PROXY,
};

// As firewall tools do whose file begins with `flush ruleset`: the translation of addresses is gone for a moment too.
describe('While somebody has flushed all packet rules of a VM', function () {
  this.timeout(60_000);
  let mini: MiniVm | undefined;
  let client: Namespace;
  let proxy: Namespace;
  let proxyProcess: ChildProcess;

  before(async function () {
    await skipUnlessNamespaces(this);
    mini = await MiniVm.create();
    client = await mini.addContainer(DEFAULT_NETWORK, 2);
    proxy = await mini.addContainer(PROXY_NETWORK, 2);
    proxyProcess = await proxy.respond('proxy', `0.0.0.0:${PROXY.port}`);
  });
  after(async () => await mini?.remove());

  it('no answer of a proxy is lost', async () => {
    const { vm } = mini!;
    const rules = createVmRules({ runner: vm.runner, logger: silentLogger });
    const others = await vm.run('iptables-save');
    await rules.ensure(WANTED);
    const connection = await client.hold(IMDS_ADDRESS);
    proxyProcess.kill('SIGSTOP');
    const outcome = connection.request();
    await until('a request that waits', async () => (await connectionAt(proxy))?.unread !== 0);

    await vm.run('nft', 'flush', 'ruleset');
    proxyProcess.kill('SIGCONT');
    // After 0.2 s, when the client has had time to reset a connection that it does not know.
    await until('the answer sent again, or nobody to send it to', async () => {
      const seen = await connectionAt(proxy);
      return seen === undefined || seen.retransmissions > 0;
    });
    await vm.runner.run('iptables-restore', [], { stdin: others });
    await rules.ensure(WANTED);

    const late = new Promise(resolve => setTimeout(resolve, 10_000, 'none in ten seconds').unref());
    assert.equal(await Promise.race([outcome, late]), 'HTTP/1.1 200 OK');
  });
});

interface ConnectionSeen {
  /** Bytes that its program has not taken. */
  readonly unread: number;
  readonly retransmissions: number;
}

/** The one connection to the proxy, as its kernel sees it. */
async function connectionAt(namespace: Namespace): Promise<ConnectionSeen | undefined> {
  const filter = ['state', 'established', 'sport', '=', `:${PROXY.port}`];
  const [line, details] = (await namespace.run('ss', '-tniH', ...filter)).split('\n');
  if (!line) return undefined;
  return {
    unread: Number(line.trim().split(/\s+/)[0]),
    retransmissions: Number(/ retrans:\d+\/(\d+)/.exec(details ?? '')?.[1] ?? 0),
  };
}
