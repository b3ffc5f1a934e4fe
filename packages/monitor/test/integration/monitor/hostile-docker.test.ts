import assert from 'node:assert/strict';
import { CLIENT_LABEL, IDENTITY_LABEL, PROXY_LABEL, RESOURCES_LABEL } from '@msi-proxy/shared';
import { formatStatus } from '../../../src/status/format-status.ts';
import { MonitoredVm } from '../../support/monitored-vm.ts';
import { until } from '../../support/until.ts';

const SHELL = '"; touch /tmp/x; $(reboot) `id` && rm -rf / #\'\n%s%n\\';
const ODD_TEXTS: Readonly<Record<string, string>> = {
  'shell characters': SHELL,
  'control characters': 'a\u0000b\u001b[2J\r\n{"level":"error","msg":"forged"}',
  'text from right to left': '\u202Egnp.exe\u2066\u2069',
  'half a surrogate pair': '\ud800',
  'letters that fold': 'ſystem K',
  'an emoji and combining marks': '👩‍👩‍👧‍👦 e\u0301\u0327',
  '64 KiB': 'x'.repeat(65_536),
  '64 KiB of commas': ','.repeat(65_536),
  '64 KiB of letters of four bytes': '😀'.repeat(16_384),
  'a path': '/subscriptions/../../../etc/passwd x',
  JSON: '{"__proto__":{"polluted":true}}',
};

describe('the monitor, with hostile words from Docker', () => {
  for (const [what, text] of Object.entries(ODD_TEXTS)) {
    it(`refuses ${what} where policy should be, tells it harmlessly, and serves the others`, async () => {
      await using vm = await MonitoredVm.create();
      const proxy = vm.runProxy();
      await vm.startMonitor();
      await vm.untilServing('proxy');
      for (const label of [
        IDENTITY_LABEL,
        RESOURCES_LABEL,
        'com.msi-proxy.endpoints',
        `com.msi-proxy.${text.slice(0, 500)}`,
      ]) {
        vm.runClient(`odd-${label}`, { labels: { [label]: text } });
      }
      vm.runClient('fine', { labels: { note: text } });
      await vm.untilWired('fine');
      await until('all odd ones are refused', () => {
        const odd = vm.status.clients.filter(({ name }) => name.startsWith('odd-'));
        return odd.length === 4 && odd.every(({ state }) => state === 'refused');
      }).catch((error: unknown) => {
        throw new Error(JSON.stringify(vm.status.clients).slice(0, 4_000), { cause: error });
      });
      assert.deepEqual([...vm.wiring.wired.keys()], ['fine']);
      for (const { name, reason = '' } of vm.status.clients.filter(({ state }) => state === 'refused')) {
        assert.match(reason, /com\.msi-proxy\./, name);
        assert.doesNotMatch(reason, /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/, name);
        assert.ok(reason.length < 4_096, `${reason.length} characters`);
      }
      const plain = { paint: (text: string) => text, width: Infinity, nowMillis: 0 };
      assert.doesNotMatch(formatStatus(vm.status, plain).replaceAll('\n', ''), /[\u0000-\u001f\u202e]/);
      for (const { grant, address } of proxy.callers.values()) {
        assert.equal(grant.kind, address === vm.addressOf('fine') ? 'client' : 'refused');
      }
    });
  }

  it('takes labels whose keys are not quite ours for no labels of ours', async () => {
    await using vm = await MonitoredVm.create();
    const proxy = vm.runProxy();
    await vm.startMonitor();
    await vm.untilServing('proxy');
    const strangers = [
      ...[
        CLIENT_LABEL.toLowerCase(),
        CLIENT_LABEL.toUpperCase(),
        ` ${CLIENT_LABEL}`,
        `${CLIENT_LABEL} `,
        `${CLIENT_LABEL}\u200b`,
      ],
      ...[
        'MSIC\u217CientContainer',
        'MSIClientC\u043Entainer',
        'com.msi-proxy',
        'constructor',
        '__proto__',
        'hasOwnProperty',
      ],
    ];
    for (const [index, label] of strangers.entries()) {
      vm.engine.run({ name: `stranger-${index}`, labels: Object.fromEntries([[label, 'true']]) });
    }
    vm.engine.run({ name: 'not-a-proxy', labels: { [PROXY_LABEL.toLowerCase()]: '' } });
    vm.runClient('fine');
    await vm.untilWired('fine');
    await until('all are known', () => proxy.callers.size === strangers.length + 2);
    assert.deepEqual([...vm.wiring.wired.keys()], ['fine']);
    assert.equal(vm.status.proxies.length, 1);
    const granted = [...proxy.callers.values()].filter(({ grant }) => grant.kind !== 'unlabelled');
    assert.deepEqual(
      granted.map(({ name }) => name),
      ['fine'],
    );
  });

  it('refuses a policy whose keys differ in case only, instead of choosing one', async () => {
    await using vm = await MonitoredVm.create();
    vm.runProxy();
    await vm.startMonitor();
    vm.runClient('double', {
      labels: { [RESOURCES_LABEL]: 'https://vault.azure.net', 'com.msi-proxy.Resources': '*' },
    });
    vm.runClient('fine');
    await vm.untilWired('fine');
    await until('it is refused', () => vm.client('double')?.state === 'refused');
    assert.match(vm.client('double')?.reason ?? '', /com\.msi-proxy\.Resources/);
  });

  it('lets no name forge a line of the log or of the status', async () => {
    await using vm = await MonitoredVm.create();
    vm.runProxy();
    await vm.startMonitor();
    vm.runClient(`evil\n  proxy  serving\u001b[2J${SHELL}`);
    await until('it is shown', () => vm.status.clients.length === 1);
    await until('it is wired', () => vm.status.clients[0]?.state === 'wired');
    for (const { message } of vm.status.events) assert.doesNotMatch(message, /[\u0000-\u001f]/);
    assert.doesNotMatch(vm.status.clients[0]?.name ?? '', /[\u0000-\u001f]/);
  });

  it('takes 10,000 events at once, looks at each container once or twice, and stays on its feet', async () => {
    await using vm = await MonitoredVm.create();
    vm.runProxy();
    for (let number = 0; number < 20; number += 1) vm.runClient(`client-${number}`);
    await vm.startMonitor();
    await vm.untilWired('client-19');
    const before = vm.engine.requests.length;
    const ids = [...vm.engine.state.containers.keys()];
    for (let number = 0; number < 10_000; number += 1) {
      const actorId = ids[number % ids.length] ?? '';
      vm.engine.events.emit({ type: 'container', action: 'start', actorId, attributes: {} });
    }
    vm.runClient('after');
    await vm.untilWired('after');
    const requests = vm.engine.requests.slice(before);
    const inspections = requests.filter(request => /^GET \/containers\/[^/]+\/json/.test(request));
    assert.ok(inspections.length < 1_000, `${inspections.length} inspections`);
    assert.equal(vm.wiring.overlapped, false);
    assert.equal(vm.status.engine.state, 'connected');
    for (const { name, state } of vm.status.clients) assert.equal(state, 'wired', name);
  }).timeout(20_000);
});
