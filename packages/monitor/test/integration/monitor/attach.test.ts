import assert from 'node:assert/strict';
import { CLIENT_LABEL, IMDS_ADDRESS, MsiProxyError, silentLogger } from '@msi-proxy/shared';
import { createEngineClient } from '../../../src/docker/index.ts';
import { createAttachWiring } from '../../../src/wiring/attach/attach.ts';
import { Attachment } from '../../../src/wiring/attach/attachment.ts';
import { LINK_NETWORK, LinkNetwork } from '../../../src/wiring/attach/link-network.ts';
import { createWiringSelector } from '../../../src/wiring/select.ts';
import { proxyTarget, wirableClient } from '../../unit/support/clients.ts';
import { MonitoredVm } from '../../support/monitored-vm.ts';
import { until } from '../../support/until.ts';

describe('clients that are wired by attach', () => {
  let vm: MonitoredVm;
  let link: LinkNetwork;

  beforeEach(async () => {
    vm = await MonitoredVm.create();
    link = new LinkNetwork(createEngineClient({ dockerHost: vm.engine.host, logger: silentLogger }));
  });
  afterEach(() => vm[Symbol.asyncDispose]());

  async function startMonitor(): Promise<void> {
    await vm.startMonitor({
      redirect: false,
      selector: createWiringSelector({ methods: [createAttachWiring(link)], setting: 'attach' }),
      attachment: new Attachment({ link, logger: silentLogger }),
    });
  }

  function onLink(name: string): string {
    return vm.addressOf(name, LINK_NETWORK);
  }

  it('find the proxy at the address of IMDS', async () => {
    vm.runProxy();
    await startMonitor();
    vm.runClient('app');
    await vm.untilWired('app');
    assert.equal(vm.client('app')?.method, 'attach');
    assert.equal(onLink('proxy'), IMDS_ADDRESS);
    assert.match(onLink('app'), /^169\.254\.169\.\d+$/);
    await until(
      'its address there is known',
      () => vm.client('app')?.addresses.includes(onLink('app')) === true,
    );
  });

  it('are let pass by the guard on the bridge of that network', async () => {
    await startMonitor();
    await until('the rules are set', () => vm.rules.wanted !== undefined);
    assert.equal(vm.rules.wanted?.linkBridge, 'msi-link0');
  });

  it('are connected when they are created, and nobody else is', async () => {
    vm.runProxy();
    await startMonitor();
    await vm.untilServing('proxy');
    const client = vm.engine.state.createContainer({ name: 'app', labels: { [CLIENT_LABEL]: '' } });
    vm.engine.state.createContainer({ name: 'unlabelled' });
    const network = vm.engine.state.network(LINK_NETWORK).id;
    await until('it is connected', () => vm.engine.state.container(client).endpoints.has(network));
    assert.equal(vm.engine.state.container('unlabelled').endpoints.has(network), false);
  });

  it('find the next proxy at the same address, and keep their own', async () => {
    vm.runProxy('first');
    await startMonitor();
    vm.runClient('app');
    await vm.untilWired('app');
    const before = onLink('app');
    vm.runProxy('second');
    await until('the second stands by', () => vm.proxyStatus('second')?.state === 'standby');
    vm.engine.stopContainer('first');
    await vm.untilServing('second');
    await until('the second has the address', () => onLink('second') === IMDS_ADDRESS);
    assert.equal(onLink('app'), before);
    // It could not start again where another one has its address.
    const network = vm.engine.state.network(LINK_NETWORK).id;
    await until('the first gave it up', () => !vm.engine.state.container('first').endpoints.has(network));
  });

  it('are connected again after somebody disconnected them', async () => {
    vm.runProxy();
    await startMonitor();
    vm.runClient('app');
    await vm.untilWired('app');
    vm.engine.state.disconnect(LINK_NETWORK, 'app');
    await until('it is back', () => {
      try {
        return onLink('app') !== '';
      } catch {
        return false;
      }
    });
  });

  it('lose the network, and it goes, when everything is unwired', async () => {
    vm.runProxy();
    await startMonitor();
    vm.runClient('app');
    await vm.untilWired('app');
    await vm.stopMonitor();
    assert.equal(await link.remove(), true);
    assert.equal(vm.engine.state.findNetwork(LINK_NETWORK), undefined);
    assert.equal(await link.remove(), false);
  });

  it('are not wired over a network of that name that is not as it should be', async () => {
    vm.engine.state.createNetwork({ name: LINK_NETWORK, prefix: '10.1.2' });
    await assert.rejects(link.ensure(), (error: unknown) => {
      assert.ok(error instanceof MsiProxyError);
      assert.equal(error.code, 'MSI_WIRING_NOT_APPLICABLE');
      assert.match(error.message, /not internal, subnet 10\.1\.2\.0\/24, no option .*inhibit_ipv4/);
      return true;
    });
  });

  it('are not wired to a proxy that listens on another port', async () => {
    const method = createAttachWiring(link);
    await assert.rejects(
      method.apply(wirableClient(), { ...proxyTarget, port: 8080 }),
      /listens on port 8080.*MSI_PROXY_LISTEN/,
    );
  });
});
