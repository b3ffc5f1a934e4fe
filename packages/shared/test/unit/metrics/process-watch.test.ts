import assert from 'node:assert/strict';
import { ProcessWatch } from '@msi-proxy/shared/metrics';
import { until } from '@msi-proxy/shared/testing';

describe('ProcessWatch', () => {
  let watch: ProcessWatch;
  let problem: Error | undefined;

  beforeEach(() => {
    problem = undefined;
    watch = new ProcessWatch(() => {
      if (problem !== undefined) throw problem;
      return { residentBytes: 1, cpuMicros: 2 };
    });
  });
  afterEach(() => watch.stop());

  it('tells how late the event loop was, to all that ask', async () => {
    await until(() => {
      const end = performance.now() + 400;
      while (performance.now() < end); // nothing else gets its turn
      return watch.read().eventLoopLagMillis >= 200;
    });

    const { eventLoopLagMillis, ...rest } = watch.read();
    assert.equal(watch.read().eventLoopLagMillis, eventLoopLagMillis);
    assert.equal(rest.residentBytes, 1);
    assert.equal(rest.cpuMicros, 2);
  });

  it('shows what it read last while no more files may be opened, and does not end the program', () => {
    const before = watch.read();
    problem = Object.assign(new Error('too many open files'), { code: 'EMFILE' });
    const { residentBytes, cpuMicros } = watch.read();
    assert.deepEqual({ residentBytes, cpuMicros }, { residentBytes: before.residentBytes, cpuMicros: 2 });
  });

  it('counts the files that are open', function () {
    if (process.platform !== 'linux') {
      console.log('    skipped: only Linux tells');
      this.skip();
    }
    assert.ok(watch.read().openFiles >= 3);
  });
});
