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

  /** Empty while it has none there. */
  function onLink(name: string): string {
    const network = vm.engine.state.findNetwork(LINK_NETWORK);
    return network === undefined ? '' : vm.addressOf(name, LINK_NETWORK);
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

  it('can start again when everything was unwired while they did not run', async () => {
    vm.runProxy();
    await startMonitor();
    vm.runClient('app');
    await vm.untilWired('app');
    vm.engine.stopContainer('app');
    const created = vm.engine.state.createContainer({ name: 'created', labels: { [CLIENT_LABEL]: '' } });
    const network = vm.engine.state.network(LINK_NETWORK).id;
    await until('it is connected', () => vm.engine.state.container(created).endpoints.has(network));
    await vm.stopMonitor();

    await link.remove();

    vm.engine.state.start('app');
    vm.engine.state.start('created');
  });

  it('leave the address to the next proxy also when no monitor saw the one before it stop', async () => {
    vm.runProxy('first');
    await startMonitor();
    await until('the first has the address', () => onLink('first') === IMDS_ADDRESS);
    await vm.stopMonitor();
    vm.engine.stopContainer('first');
    vm.runProxy('second');
    link = new LinkNetwork(createEngineClient({ dockerHost: vm.engine.host, logger: silentLogger }));
    await startMonitor();
    await until('the second has the address', () => onLink('second') === IMDS_ADDRESS);

    vm.engine.state.start('first');

    assert.notEqual(onLink('first'), IMDS_ADDRESS);
  });

  it('leave it to the proxy that has it already, and take it out of the settings of one that stopped', async () => {
    const { state } = vm.engine;
    await link.ensure();
    const network = state.network(LINK_NETWORK).id;
    const stopped = state.createContainer({ name: 'stopped' });
    state.connect(LINK_NETWORK, stopped, IMDS_ADDRESS);
    const client = state.createContainer({ name: 'client' });
    state.connect(LINK_NETWORK, client);
    const serving = vm.engine.run({ name: 'serving' });
    state.connect(LINK_NETWORK, serving, IMDS_ADDRESS);

    assert.equal(await link.giveAddress(serving), false);

    assert.equal(state.container(stopped).endpoints.has(network), false);
    assert.equal(
      state.container(client).endpoints.has(network),
      true,
      'a client that stopped keeps its place',
    );
    const { length } = vm.engine.requests;
    await link.giveAddress(serving);
    assert.equal(vm.engine.requests.length, length + 1, 'looks for others once');
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
