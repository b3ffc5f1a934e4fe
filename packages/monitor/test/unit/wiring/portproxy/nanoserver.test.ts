import assert from 'node:assert/strict';
import { FakeClock } from '@msi-proxy/shared/testing';
import { createPortproxyWiring } from '../../../../src/wiring/portproxy/portproxy.ts';
import { ENGLISH, FakeNanoserver, GERMAN, JAPANESE } from './fake-nanoserver.ts';
import { FakeWindowsEngine, windowsClient, windowsTarget } from './fake-windows.ts';

describe('portproxy in a container without PowerShell', () => {
  let container: FakeNanoserver;
  let engine: FakeWindowsEngine;
  let clock: FakeClock;

  beforeEach(() => {
    container = new FakeNanoserver();
    engine = new FakeWindowsEngine(container.respond);
    clock = new FakeClock();
  });

  const wiring = () => createPortproxyWiring({ engine, clock });

  /** Lets the time pass that the wiring waits for. */
  async function patiently<T>(work: Promise<T>): Promise<T> {
    const progress = { isOver: false };
    const end = () => (progress.isOver = true);
    work.then(end, end);
    for (let rounds = 0; rounds < 500 && !progress.isOver; rounds += 1) await clock.advance(500);
    return await work;
  }

  const apply = () => patiently(wiring().apply(windowsClient, windowsTarget));

  /** The commands that change something. */
  const changing = () =>
    container.commands.filter(command => !/^(echo|curl\.exe|netstat|sc query)|\bshow\b/.test(command));

  for (const [name, language] of Object.entries({ ENGLISH, GERMAN, JAPANESE })) {
    it(`wires it from nothing, by what is read by its shape: ${name}`, async () => {
      container.language = language;
      assert.equal(await apply(), 'applied');
      assert.deepEqual(changing(), [
        'netsh interface ipv4 set interface 4 dadtransmits=0 store=active',
        'netsh interface ipv4 add address 4 169.254.169.254 255.255.255.255 store=active skipassource=true',
        'netsh interface portproxy set v4tov4 listenport=80 listenaddress=169.254.169.254 connectport=80 connectaddress=172.21.192.9 protocol=tcp',
      ]);
      container.commands.length = 0;
      assert.equal(await apply(), 'unchanged');
      assert.deepEqual(changing(), []);
      await patiently(wiring().verify(windowsClient, windowsTarget));
    });
  }

  it('runs everything as administrator, and quotes nothing', async () => {
    await apply();
    assert.deepEqual([...new Set(engine.execs.map(({ user }) => user))], ['ContainerAdministrator']);
    for (const { argv } of engine.execs.filter(({ argv: [file] }) => file === 'cmd')) {
      assert.deepEqual(argv.slice(0, 4), ['cmd', '/d', '/s', '/c']);
      assert.match(argv[4] ?? '', /^[^"|<>^]+$/);
    }
  });

  it('waits until the address is usable before it sets the rule', async () => {
    container.addressStates = ['Tentative', 'Tentative', 'Preferred'];
    assert.equal(await apply(), 'applied');
    assert.equal(container.address, 'Preferred');
  });

  it('does not wait for ever', async () => {
    container.addressStates = Array.from({ length: 30 }, () => 'Tentative' as const);
    await assert.rejects(apply(), { code: 'MSI_WIRING_NOT_EFFECTIVE', message: /did not become usable/ });
    assert.equal(container.rule, undefined);
  });

  it('gives back an address that another one owns', async () => {
    container.addressStates = ['Duplicate'];
    await assert.rejects(apply(), { code: 'MSI_WIRING_DUPLICATE_ADDRESS' });
    assert.equal(container.address, undefined);
    assert.equal(container.rule, undefined);
  });

  it('starts the service, also when its start is forbidden until then', async () => {
    container.service = 'stopped';
    assert.equal(await apply(), 'applied');
    assert.ok(
      changing().indexOf('sc config iphlpsvc start= demand') < changing().indexOf('net start iphlpsvc'),
    );
  });

  it('says that the service does not start', async () => {
    container.service = 'broken';
    await assert.rejects(apply(), { code: 'MSI_WIRING_SERVICE' });
    assert.equal(container.rule, undefined);
  });

  it('mends a rule that was listed while the service did not run', async () => {
    container.settle();
    container.service = 'stopped';
    container.forwardsTo = undefined;
    assert.equal(await apply(), 'repaired');
  });

  it('moves an address that is on another interface, after the rule that listens on it', async () => {
    container.settle();
    container.interfaceIndex = 1;
    assert.equal(await apply(), 'repaired');
    assert.deepEqual(
      changing().map(command => command.split(' ').slice(2, 5).join(' ')),
      [
        'portproxy delete v4tov4',
        'ipv4 delete address',
        'ipv4 set interface',
        'ipv4 add address',
        'portproxy set v4tov4',
      ],
    );
  });

  for (const works of ['set', 'replace', 'restart'] as const) {
    it(`follows a proxy with another address when it takes as much as: ${works}`, async () => {
      container.settle();
      container.rule = container.rule?.replace('172.21.192.9 ', '172.21.192.7 ');
      container.forwardsTo = '172.21.192.7';
      container.works = works;
      assert.equal(await apply(), 'applied');
      assert.equal(container.forwardsTo, windowsTarget.address);
    });
  }

  describe('with a rule that leads to where another proxy was', () => {
    beforeEach(() => {
      container.settle();
      container.rule = container.rule?.replace('172.21.192.9 ', '172.21.192.7 ');
      container.forwardsTo = '172.21.192.7';
    });

    const contexts = () => changing().map(command => command.split(' ').slice(2, 4).join(' '));

    it('deletes it before it gives the address that a restart took away', async () => {
      container.address = undefined;
      assert.equal(await apply(), 'applied');
      assert.deepEqual(contexts(), ['portproxy delete', 'ipv4 set', 'ipv4 add', 'portproxy set']);
    });

    it('deletes it before it starts the service', async () => {
      container.service = 'stopped';
      assert.equal(await apply(), 'applied');
      assert.match(changing()[0] ?? '', /^netsh interface portproxy delete v4tov4 /);
    });

    it('leaves none for a proxy that cannot be reached', async () => {
      container.proxyReachable = false;
      await assert.rejects(apply(), { code: 'MSI_WIRING_PROXY_UNREACHABLE' });
      assert.equal(container.rule, undefined);
    });

    it('leaves none where the address that Docker tells is not there', async () => {
      const networks = windowsClient.networks.map(each => ({ ...each, address: '172.21.0.1' }));
      await assert.rejects(patiently(wiring().apply({ ...windowsClient, networks }, windowsTarget)));
      assert.equal(container.rule, undefined);
    });

    it('gives no address while it cannot be deleted', async () => {
      container.address = undefined;
      container.user = 'ContainerUser';
      await assert.rejects(apply(), { code: 'MSI_WIRING_NOT_APPLICABLE', message: /without the rights/ });
      assert.deepEqual(contexts(), ['portproxy delete']);
    });
  });

  it('says that nothing helps', async () => {
    container.works = 'never';
    await assert.rejects(apply(), { code: 'MSI_WIRING_NOT_EFFECTIVE', message: /nothing listens/ });
  });

  it('ends no connections for a proxy that cannot be reached', async () => {
    container.settle();
    container.proxyReachable = false;
    await assert.rejects(apply(), { code: 'MSI_WIRING_PROXY_UNREACHABLE' });
    assert.deepEqual(changing(), []);
  });

  it('refuses images that lack what is needed, and says the other way', async () => {
    const refusal = { code: 'MSI_WIRING_NOT_APPLICABLE', message: /AZURE_POD_IDENTITY_AUTHORITY_HOST/ };
    container.service = 'absent';
    await assert.rejects(apply(), refusal);
    container.service = 'running';
    container.hasPortProxy = false;
    await assert.rejects(apply(), refusal);
    container.hasNetsh = false;
    await assert.rejects(apply(), refusal);
  });

  it('refuses a container whose commands have no rights', async () => {
    container.user = 'ContainerUser';
    await assert.rejects(apply(), {
      code: 'MSI_WIRING_NOT_APPLICABLE',
      message: /without the rights of ContainerAdministrator \(as ContainerUser\)/,
    });
  });

  it('says that the address that Docker tells is not there', async () => {
    const { networks } = windowsClient;
    const elsewhere = {
      ...windowsClient,
      networks: networks.map(each => ({ ...each, address: '172.21.0.1' })),
    };
    await assert.rejects(patiently(wiring().apply(elsewhere, windowsTarget)), {
      code: 'MSI_WIRING_NOT_EFFECTIVE',
      message: /none of its interfaces/,
    });
  });

  it('takes its wiring away, the rule first, and nothing of others', async () => {
    container.settle();
    await patiently(wiring().remove(windowsClient));
    assert.deepEqual([container.rule, container.address], [undefined, undefined]);
    const [first, second, ...rest] = changing();
    assert.match(first ?? '', /^netsh interface portproxy delete v4tov4 /);
    assert.match(second ?? '', /^netsh interface ipv4 delete address 4 /);
    assert.deepEqual(rest, []);
    await patiently(wiring().remove(windowsClient));
    assert.equal(changing().length, 2);
  });

  it('says what could not be taken away', async () => {
    container.settle();
    container.user = 'ContainerUser';
    await assert.rejects(patiently(wiring().remove(windowsClient)), { code: 'MSI_WIRING_NOT_EFFECTIVE' });
  });

  it('asks nobody outside while it does not have the address', async () => {
    await patiently(wiring().remove(windowsClient));
    assert.deepEqual(
      container.commands.filter(command => command.startsWith('curl.exe')),
      [],
    );
  });
});
