import assert from 'node:assert/strict';
import { parseDestinations, readDestinations } from '../../../src/conntrack/flow-destinations.ts';
import { fakeCommandRunner } from '../support/fake-command-runner.ts';

/** As the kernel lists it in `/proc/net/nf_conntrack`. */
const BY_THE_KERNEL = [
  'ipv4     2 tcp      6 431999 ESTABLISHED src=172.17.0.2 dst=169.254.169.254 sport=40222 dport=80 packets=3 bytes=200 src=172.17.0.9 dst=172.17.0.2 sport=8080 dport=40222 packets=2 bytes=100 [ASSURED] mark=0 zone=0 use=2',
  'ipv4     2 tcp      6 119 SYN_SENT src=172.17.0.2 dst=169.254.169.254 sport=40224 dport=80 [UNREPLIED] src=169.254.169.254 dst=172.17.0.2 sport=80 dport=40224 mark=0 zone=0 use=2',
  'ipv4     2 tcp      6 431999 ESTABLISHED src=172.17.0.2 dst=10.0.0.1 sport=40226 dport=443 src=10.0.0.1 dst=172.17.0.2 sport=443 dport=40226 [ASSURED] mark=0 zone=0 use=2',
  'ipv4     2 udp      17 29 src=172.17.0.2 dst=169.254.169.254 sport=53000 dport=53 src=169.254.169.254 dst=172.17.0.2 sport=53 dport=53000 mark=0 zone=0 use=2',
  'ipv6     10 tcp      6 100 ESTABLISHED src=fe80::1 dst=fe80::2 sport=1 dport=80 src=fe80::2 dst=fe80::1 sport=80 dport=1 mark=0 zone=0 use=2',
];

/** As conntrack 1.4.7 prints them. */
const BY_CONNTRACK = BY_THE_KERNEL.map(line => line.replace(/^ipv[46] +\d+ /, '').replace(' zone=0', ''));

const TO_IMDS = [
  { address: '172.17.0.9', port: 8080 },
  { address: '169.254.169.254', port: 80 },
];

describe('where connections to IMDS go', () => {
  for (const [by, lines] of Object.entries({ kernel: BY_THE_KERNEL, conntrack: BY_CONNTRACK })) {
    it(`is read from what the ${by} lists, once each`, () => {
      assert.deepEqual(parseDestinations([...lines, ...lines, ''].join('\n')), TO_IMDS);
    });
  }

  it('is read from no other text', () => {
    assert.deepEqual(parseDestinations(''), []);
    assert.deepEqual(
      parseDestinations('tcp dst=169.254.169.254 src=\ntcp x dst=169.254.169.254 src=a dst=b'),
      [],
    );
  });

  it('is asked of the program where no process in the namespace is known, or it is gone', async () => {
    const runner = fakeCommandRunner(() => ({ stdout: BY_CONNTRACK.join('\n') }));

    for (const pid of [undefined, 2 ** 30]) assert.deepEqual(await readDestinations(runner, pid), TO_IMDS);

    assert.equal(runner.commands.length, 2);
  });
});
