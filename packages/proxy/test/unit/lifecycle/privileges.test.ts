import assert from 'node:assert/strict';
import { codeOf } from '@msi-proxy/shared';
import { dropPrivileges, type ProcessIdentity } from '../../../src/lifecycle/privileges.ts';

const USER = 65_532;

/** A process of Unix with the rules of setuid for somebody who was root. */
class FakeProcess implements ProcessIdentity {
  uid: number;
  readonly calls: string[] = [];
  /** What the kernel refuses. */
  forbidden: 'setgid' | 'setuid' | undefined;
  /** Whether root can be had back, as with a saved user id. */
  keepsRoot = false;

  constructor(uid = 0) {
    this.uid = uid;
  }

  getuid(): number {
    return this.uid;
  }

  setgroups(groups: readonly number[]): void {
    this.calls.push(`setgroups [${groups.join(', ')}]`);
  }

  setgid(id: number): void {
    if (this.forbidden === 'setgid') throw new Error('setgid EPERM');
    this.calls.push(`setgid ${id}`);
  }

  setuid(id: number): void {
    const mayChange = this.uid === 0 || this.keepsRoot;
    if (!mayChange || this.forbidden === 'setuid') throw new Error('setuid EPERM');
    this.calls.push(`setuid ${id}`);
    this.uid = id;
  }
}

const withoutCapabilities = () => 'Name:\tnode\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n';

describe('dropping privileges', () => {
  function drop(
    identity: ProcessIdentity,
    readStatus: () => string | undefined = withoutCapabilities,
  ): boolean {
    return dropPrivileges({ identity, user: USER, readStatus });
  }

  function assertNotDropped(run: () => unknown, text: RegExp): void {
    assert.throws(run, (error: Error) => {
      assert.equal(codeOf(error), 'MSI_PRIVILEGES_NOT_DROPPED');
      assert.match(error.message, text);
      return true;
    });
  }

  it('gives up groups, group and user, in the order in which that is allowed', () => {
    const identity = new FakeProcess();
    assert.equal(drop(identity), true);
    assert.deepEqual(identity.calls, ['setgroups []', `setgid ${USER}`, `setuid ${USER}`]);
    assert.equal(identity.uid, USER);
  });

  it('does nothing for a process that is not root', () => {
    const identity = new FakeProcess(1_000);
    assert.equal(drop(identity), false);
    assert.deepEqual(identity.calls, []);
  });

  it('does nothing when told to stay root', () => {
    const identity = new FakeProcess();
    assert.equal(dropPrivileges({ identity, user: 'root', readStatus: withoutCapabilities }), false);
    assert.equal(identity.uid, 0);
  });

  it('does nothing where there are no user ids', () => {
    assert.equal(drop({}), false);
  });

  for (const call of ['setgid', 'setuid'] as const) {
    it(`fails with the capabilities that are needed when ${call} is refused`, () => {
      const identity = new FakeProcess();
      identity.forbidden = call;
      assertNotDropped(() => drop(identity), /65532.*EPERM.*SETUID and SETGID/);
    });
  }

  it('fails when root can be had back', () => {
    const identity = new FakeProcess();
    identity.keepsRoot = true;
    assertNotDropped(() => drop(identity), /root again/);
  });

  for (const left of ['CapPrm', 'CapEff', 'CapAmb']) {
    it(`fails when capabilities are left in ${left}`, () => {
      const status = ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']
        .map(set => `${set}:\t${set === left ? '0000000000001000' : '0000000000000000'}\n`)
        .join('');
      const text = new RegExp(`still has capabilities.*${left} 0000000000001000$`);
      assertNotDropped(() => drop(new FakeProcess(), () => status), text);
    });
  }

  it('takes no notice of capabilities that it can have by starting another program only', () => {
    const status = 'CapInh:\t0000000000001000\nCapEff:\t0000000000000000\nCapBnd:\t0000000000001000\n';
    assert.equal(
      drop(new FakeProcess(), () => status),
      true,
    );
  });

  it('does without the list of capabilities where there is none', () => {
    assert.equal(
      drop(new FakeProcess(), () => undefined),
      true,
    );
  });
});
