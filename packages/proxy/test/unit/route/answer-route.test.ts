import assert from 'node:assert/strict';
import { silentLogger } from '@msi-proxy/shared';
import { ensureAnswerRoute } from '../../../src/route/answer-route.ts';
import { FakeKernel } from '../support/fake-kernel.ts';

const ADDRESS = '172.31.250.2';
const HOP = { gateway: '172.31.250.1', device: 'eth1' };

describe('the route of answers', () => {
  let kernel: FakeKernel;

  beforeEach(() => {
    kernel = new FakeKernel({
      routes: [
        { dst: 'default', gateway: '172.17.0.1', dev: 'eth0' },
        { dst: '172.17.0.0/16', dev: 'eth0', prefsrc: '172.17.0.5' },
        { dst: '172.31.250.0/24', dev: 'eth1', prefsrc: ADDRESS },
      ],
      addresses: { eth0: '172.17.0.5', eth1: ADDRESS },
    });
  });

  async function ensure(address = ADDRESS): Promise<string> {
    return await ensureAnswerRoute(address, HOP, { runner: kernel, logger: silentLogger });
  }

  it('leads to the VM, but for neighbours', async () => {
    assert.equal(await ensure(), 'added');
    assert.deepEqual(kernel.writes, [
      'ip route replace default via 172.31.250.1 dev eth1 table 43',
      'ip route replace 172.31.250.0/24 dev eth1 table 43',
      'ip rule add priority 200 from 172.31.250.2 lookup 43',
    ]);
  });

  it('is left alone when it is right', async () => {
    await ensure();
    kernel.writes.length = 0;
    assert.equal(await ensure(), 'in-place');
    assert.deepEqual(kernel.writes, []);
  });

  it('is made again when its interface was another one, whose routes went with it', async () => {
    await ensure();
    kernel.policyRoutes = [];
    assert.equal(await ensure(), 'added');
    assert.equal(kernel.policyRoutes.length, 2);
  });

  it('is of one address: of the one before nothing is left', async () => {
    await ensure('172.31.250.9');
    await ensure();
    assert.deepEqual(
      kernel.rules.filter(({ table }) => table === '43').map(({ src }) => src),
      [ADDRESS],
    );
  });

  it('says which capability is missing', async () => {
    kernel.refusal = 'RTNETLINK answers: Operation not permitted\n';
    await assert.rejects(ensure(), { code: 'MSI_ROUTE_NO_CAPABILITY' });
  });
});
