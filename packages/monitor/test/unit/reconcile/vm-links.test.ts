import assert from 'node:assert/strict';
import { VmLinks } from '../../../src/reconcile/vm-links.ts';

/** As Linux prints it: old kernels leave no space after the colon when the number is long. */
function listing(names: readonly string[]): string {
  const head = 'Inter-|   Receive |  Transmit\n face |bytes    packets|bytes    packets\n';
  return (
    head + names.map((name, at) => `${name.padStart(6)}:${at % 2 === 0 ? ' ' : ''}${at}  2 3\n`).join('')
  );
}

describe('VmLinks', () => {
  let names: string[];
  let links: VmLinks;

  beforeEach(() => {
    names = ['lo', 'br-msi', 'veth1', 'veth2'];
    links = new VmLinks(path => (path === '/proc/self/net/dev' ? listing(names) : undefined));
  });

  function look(...now: readonly string[]): number | undefined {
    names = ['lo', 'br-msi', ...now];
    return links.gone('br-msi');
  }

  it('is the same for the same interfaces, in whatever order', () => {
    assert.equal(look('veth1', 'veth2'), look('veth2', 'veth1'));
  });

  it('is the same when interfaces come', () => {
    assert.equal(look('veth1'), look('veth1', 'veth2'));
  });

  it('is another one when one goes, or is replaced, and is never again what it was', () => {
    const looks = [
      look('veth1', 'veth2'),
      look('veth1'),
      look('veth3'),
      look('veth1', 'veth2'),
      look('veth3'),
    ];
    assert.deepEqual(looks, [0, 1, 2, 3, 4]);
  });

  it('takes a colon in a name for a part of it', () => {
    assert.notEqual(look('eth0:1', 'eth0:2'), look('eth0:1'));
  });

  it("does not exist where the proxies' bridge is not seen: that is another namespace than the VM's", () => {
    assert.equal(links.gone('br-msi2'), undefined);
    assert.equal(new VmLinks(() => undefined).gone('br-msi'), undefined);
  });
});
