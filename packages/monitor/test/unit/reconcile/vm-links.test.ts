import assert from 'node:assert/strict';
import { readVmLinks } from '../../../src/reconcile/vm-links.ts';

/** As Linux prints it: old kernels leave no space after the colon when the number is long. */
function linksOf(...names: readonly string[]): string | undefined {
  const head = 'Inter-|   Receive |  Transmit\n face |bytes    packets|bytes    packets\n';
  const text =
    head + names.map((name, at) => `${name.padStart(6)}:${at % 2 === 0 ? ' ' : ''}${at}  2 3\n`).join('');
  return readVmLinks(path => (path === '/proc/self/net/dev' ? text : undefined), 'br-msi');
}

describe('readVmLinks', () => {
  it('is the same for the same interfaces, in whatever order and however busy they are', () => {
    assert.equal(linksOf('lo', 'br-msi', 'veth1', 'veth2'), linksOf('lo', 'veth2', 'br-msi', 'veth1'));
  });

  it('is another one when one comes, goes, or is replaced', () => {
    const all = [['veth1'], ['veth1', 'veth2'], ['veth2'], ['veth3'], ['veth1', 'veth3']];
    assert.equal(new Set(all.map(names => linksOf('lo', 'br-msi', ...names))).size, all.length);
  });

  it('takes a colon in a name for a part of it', () => {
    assert.notEqual(linksOf('br-msi', 'eth0:1'), linksOf('br-msi', 'eth0:2'));
  });

  it("does not exist where the proxies' bridge is not seen: that is another namespace than the VM's", () => {
    assert.equal(linksOf('lo', 'eth0', 'br-msi2'), undefined);
    assert.equal(
      readVmLinks(() => undefined, 'br-msi'),
      undefined,
    );
  });

  it('is short, however many there are', () => {
    assert.ok(linksOf('br-msi', ...Array.from({ length: 2_000 }, (_, at) => `veth${at}`))!.length < 64);
  });
});
