import assert from 'node:assert/strict';
import { CLIENT_LABEL, PROXY_LABEL, readSettings, silentLogger } from '@msi-proxy/shared';
import { MONITOR_SETTINGS } from '../../../src/config.ts';
import { createEngineClient } from '../../../src/docker/index.ts';
import { vmTable } from '../../../src/guard/vm-table.ts';
import { replaceTable } from '../../../src/nft/table-definition.ts';
import { unwireClients } from '../../../src/unwire-clients.ts';
import { LINK_NETWORK, LinkNetwork } from '../../../src/wiring/attach/link-network.ts';
import type { NamespaceFiles } from '../../../src/wiring/client-namespace.ts';
import { fakeCommandRunner } from '../../unit/support/fake-command-runner.ts';
import { FakeNft } from '../../unit/support/fake-nft.ts';
import { type ContainerOptions, type ExecProcess, FakeEngine } from '../../support/fake-engine/index.ts';

function absent(): Promise<never> {
  return Promise.reject(new Error('ENOENT'));
}

/** A monitor that sees neither the engine's folder nor the processes of containers. */
const NO_FILES: NamespaceFiles = { fileSystemType: absent, inode: absent, text: absent };

describe('unwireClients', () => {
  let engine: FakeEngine;
  let vmNft: FakeNft;
  let printed: string[];

  beforeEach(async () => {
    engine = await FakeEngine.start();
    vmNft = new FakeNft();
    printed = [];
  });
  afterEach(() => engine[Symbol.asyncDispose]());

  function runClient(name: string, options: Partial<ContainerOptions> = {}): string {
    return engine.run({ name, labels: { [CLIENT_LABEL]: '' }, ...options });
  }

  async function unwire(wiring: string): Promise<boolean> {
    const environment = { DOCKER_HOST: engine.host, MSI_MONITOR_WIRING: wiring };
    const client = createEngineClient({ dockerHost: engine.host, logger: silentLogger });
    return await unwireClients({
      engine: client,
      link: new LinkNetwork(client),
      runner: fakeCommandRunner((command, stdin) => vmNft.respond(command, stdin)),
      files: NO_FILES,
      settings: readSettings(MONITOR_SETTINGS, environment),
      platform: 'linux',
      seesVm: true,
      wanted: undefined,
      print: line => printed.push(line),
    });
  }

  /** Rules of a monitor that knows the proxies' network. */
  function setVmRules({ redirect }: { readonly redirect: boolean }): void {
    const table = vmTable({ guard: 'enforce', redirect, proxyBridge: { interfaceName: 'msi-proxy0' } });
    vmNft.respond('nft -f -', replaceTable(table!, {}));
  }

  /** Images with nft, in namespaces that a monitor has wired. */
  function wireByExec(): FakeNft {
    const nft = new FakeNft();
    nft.respond('nft -f -', 'table ip msi_proxy_client {\n}');
    engine.onExec = (process: ExecProcess) => {
      let stdin = '';
      process.stdin.on('data', (chunk: Buffer) => (stdin += chunk.toString()));
      const end = () => {
        const { exitCode = 0, stdout = '', stderr = '' } = nft.respond(process.argv.join(' '), stdin) ?? {};
        process.stdout.write(stdout);
        process.stderr.write(stderr);
        process.exit(exitCode);
      };
      if (process.argv.includes('-f')) process.stdin.once('end', end);
      else end();
    };
    return nft;
  }

  it('names what it cannot enter, of clients that the monitor wires inside, and fails', async () => {
    runClient('app');

    assert.equal(await unwire('nat'), false);

    assert.match(printed[0] ?? '', /^app \(.*has no nft\. No other way into the network namespace of app/);
    assert.match(printed[1] ?? '', /--pid host --cap-add SYS_ADMIN/);
    assert.equal(printed.length, 2);
  });

  it('names a client of which the engine does not tell, goes on with the others, and fails', async () => {
    runClient('app');
    const id = runClient('stuck');
    wireByExec();
    engine.failRequests(new RegExp(`/containers/${id}/json$`), { status: 500, message: 'busy', times: 99 });

    assert.equal(await unwire('nat'), false);

    assert.deepEqual(
      printed.map(line => line.replace(/ \(.*/, '')),
      ['Removed the wiring inside app', 'stuck'],
    );
    assert.match(printed.at(-1) ?? '', /the engine does not tell about it, so nothing was removed/);
  });

  it("removes by the container's own programs what the monitor can have set by them", async () => {
    runClient('app');
    const nft = wireByExec();

    assert.equal(await unwire('nat'), true, printed.join('\n'));

    assert.equal(nft.exists, false);
    assert.match(printed[0] ?? '', /^Removed the wiring inside app/);
  });

  describe('for a client that is refused now, and may have been wired before', () => {
    beforeEach(() => {
      const id = runClient('app');
      engine.run({ name: 'stranger', network: `container:${id}` });
    });

    it('removes what is inside it too', async () => {
      const nft = wireByExec();

      assert.equal(await unwire('nat'), true, printed.join('\n'));

      assert.equal(nft.exists, false);
      assert.match(printed[0] ?? '', /^Removed the wiring inside app/);
    });

    it('names it when it cannot be entered, and fails', async () => {
      assert.equal(await unwire('nat'), false);

      assert.match(printed[0] ?? '', /^app \(.*has no nft/);
    });
  });

  it('leaves a proxy alone that is labelled as a client too', async () => {
    engine.run({ name: 'both', labels: { [CLIENT_LABEL]: '', [PROXY_LABEL]: '' } });
    const network = engine.state.createNetwork({ name: LINK_NETWORK, prefix: '169.254.169' });
    engine.state.connect(LINK_NETWORK, 'both');

    assert.equal(await unwire('auto'), true, printed.join('\n'));

    assert.ok(engine.state.container('both').endpoints.has(network));
  });

  it('takes a client for unwired that has stopped meanwhile', async () => {
    const id = runClient('app');
    engine.onExec = ({ exit }) => exit(127);
    let looks = 0;
    engine.tamperInspect = body => {
      looks += 1;
      if (looks === 1) setImmediate(() => engine.stopContainer(id));
      return body;
    };

    assert.equal(await unwire('nat'), true, printed.join('\n'));
  });

  it('does not take a client for unwired that is paused and can be entered by the engine only', async () => {
    runClient('app');
    wireByExec();
    engine.state.setPaused('app', true);

    assert.equal(await unwire('nat'), false);

    assert.match(printed[0] ?? '', /^app \(.*it is paused/);
  });

  for (const wiring of ['auto', 'host']) {
    it(`needs no way into clients that the rules of the VM serve (${wiring})`, async () => {
      runClient('app');
      setVmRules({ redirect: true });

      assert.equal(await unwire(wiring), true);

      assert.match(printed[0] ?? '', /^Not looked for wiring inside app .*, which needs none/);
      assert.ok(!engine.requests.some(request => request.includes('/exec')), 'nothing is run in them');
    });
  }

  it('does not believe its own settings where the rules of the VM are those of another method', async () => {
    runClient('app');
    setVmRules({ redirect: false });

    assert.equal(await unwire('auto'), false);

    assert.match(printed[0] ?? '', /^app \(/);
  });

  it('fails for what it cannot enter on networks that the rules of the VM do not reach', async () => {
    engine.state.createNetwork({ name: 'lan', driver: 'macvlan' });
    runClient('app', { network: 'lan' });
    setVmRules({ redirect: true });

    assert.equal(await unwire('auto'), false);
  });

  it('takes clients off the network of the proxy', async () => {
    runClient('app');
    const network = engine.state.createNetwork({ name: LINK_NETWORK, prefix: '169.254.169' });
    engine.state.connect(LINK_NETWORK, 'app');

    assert.equal(await unwire('auto'), true);

    assert.equal(engine.state.container('app').endpoints.has(network), false);
  });

  it('does not pass over Windows clients that are paused', async () => {
    engine.state.createNetwork({ name: 'nat', driver: 'nat' });
    runClient('app', { network: 'nat', platform: 'windows' });
    engine.state.setPaused('app', true);

    assert.equal(await unwire('portproxy'), false);

    assert.match(printed[0] ?? '', /^app \(.*it is paused/);
  });
});
