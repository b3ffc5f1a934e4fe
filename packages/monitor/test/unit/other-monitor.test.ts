import assert from 'node:assert/strict';
import { ERROR_CODES } from '@msi-proxy/shared';
import { vmTable } from '../../src/guard/vm-table.ts';
import { replaceTable } from '../../src/nft/table-definition.ts';
import { refuseSecondMonitor } from '../../src/other-monitor.ts';
import { someStatus } from './status/support.ts';
import { fakeCommandRunner } from './support/fake-command-runner.ts';
import { FakeNft } from './support/fake-nft.ts';

const LISTEN = { host: '127.0.0.1', port: 9180 };
const ANSWERS = () => Promise.resolve(someStatus());

describe('a second monitor on a VM', () => {
  let nft: FakeNft;
  const runner = fakeCommandRunner((command, stdin) => nft.respond(command, stdin));

  beforeEach(() => {
    nft = new FakeNft();
  });

  function setRules(): void {
    nft.respond('nft -f -', replaceTable(vmTable({ guard: 'enforce', redirect: true })!, {}));
  }

  it('does not begin while another one answers and has its rules', async () => {
    setRules();
    await assert.rejects(refuseSecondMonitor({ listen: LISTEN, runner, fetchStatus: ANSWERS }), {
      code: 'MSI_SECOND_MONITOR',
      message: /^Another monitor of this VM serves its status at 127\.0\.0\.1:9180/,
    });
  });

  it('begins when what answers there has set no rules', async () => {
    await refuseSecondMonitor({ listen: LISTEN, runner, fetchStatus: ANSWERS });
  });

  it('does not begin where there are no rules to tell by', async () => {
    await assert.rejects(refuseSecondMonitor({ listen: LISTEN, fetchStatus: ANSWERS }), {
      code: 'MSI_SECOND_MONITOR',
    });
  });

  it('begins when nobody answers, as after a monitor that was killed', async () => {
    setRules();
    const fetchStatus = () => Promise.reject(new Error('connection refused'));
    await refuseSecondMonitor({ listen: LISTEN, runner, fetchStatus });
  });

  it('is not told to serve its status elsewhere, where neither would find the other', () => {
    const { remedy } = ERROR_CODES.MSI_SECOND_MONITOR;
    assert.match(remedy, /^Stop one of them\./);
    assert.doesNotMatch(remedy, /[Cc]hange/);
  });
});
