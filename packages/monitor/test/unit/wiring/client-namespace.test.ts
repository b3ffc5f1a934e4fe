import assert from 'node:assert/strict';
import { statfs } from 'node:fs/promises';
import { createClientNamespaces, type NamespaceFiles } from '../../../src/wiring/client-namespace.ts';
import { wirableClient } from '../support/clients.ts';
import { fakeCommandRunner } from '../support/fake-command-runner.ts';

const NSFS = 0x6e736673;
const EXT4 = 0xef53;

const client = wirableClient();
const PROCESS_FILE = `/proc/${client.pid}/ns/net`;

/** A file system in which the container's namespace can be seen by both ways. */
function files(changes: Partial<NamespaceFiles> = {}): NamespaceFiles {
  return {
    fileSystemType: () => Promise.resolve(NSFS),
    inode: path => Promise.resolve(path === '/proc/self/ns/net' || path === '/proc/1/ns/net' ? 1 : 2),
    text: () => Promise.resolve(`0::/docker/${client.containerId}\n`),
    ...changes,
  };
}

function gone(): Promise<never> {
  return Promise.reject(Object.assign(new Error('ENOENT: no such file'), { code: 'ENOENT' }));
}

async function enteredPath(changes: Partial<NamespaceFiles>): Promise<string> {
  const runner = fakeCommandRunner();
  const { runner: inside } = await createClientNamespaces({ runner, files: files(changes) }).enter(client);
  await inside.run('ip', ['route']);
  return runner.commands[0]!;
}

describe('createClientNamespaces', () => {
  it("enters by the engine's namespace file", async () => {
    assert.equal(await enteredPath({}), `nsenter --net=${client.sandboxKey} -- ip route`);
  });

  it('names a process that is in it, and none that has the number but is elsewhere', async () => {
    const runner = fakeCommandRunner();
    const elsewhere = files({
      inode: path => Promise.resolve(path === client.sandboxKey ? 2 : path === PROCESS_FILE ? 3 : 1),
    });

    assert.equal((await createClientNamespaces({ runner, files: files() }).enter(client)).pid, client.pid);
    assert.equal((await createClientNamespaces({ runner, files: elsewhere }).enter(client)).pid, undefined);
  });

  it("enters by the process where the engine's folder is not mounted", async () => {
    assert.equal(await enteredPath({ fileSystemType: gone }), `nsenter --net=${PROCESS_FILE} -- ip route`);
  });

  it('goes by the engine where it sees the namespace, and has no right to enter it', async () => {
    const runner = fakeCommandRunner();
    const text = (path: string) =>
      path === '/proc/self/status'
        ? Promise.resolve('CapEff:\t0000000000001000\n')
        : Promise.resolve(`0::/docker/${client.containerId}\n`);
    const execs: string[] = [];
    const namespaces = createClientNamespaces({
      runner,
      files: files({ text }),
      execInContainer: (_id, argv) => {
        execs.push(argv.join(' '));
        return Promise.resolve({ exitCode: 0, stdout: '', stderr: '' });
      },
    });
    const { runner: inside, programsFrom } = await namespaces.enter(client);
    await inside.run('ip', ['route']);
    assert.equal(programsFrom, 'container');
    assert.deepEqual(execs, ['ip route']);
    assert.deepEqual(runner.commands, []);

    await assert.rejects(createClientNamespaces({ runner, files: files({ text }) }).enter(client), {
      code: 'MSI_WIRING_NO_CAPABILITY',
      message: /no capability SYS_ADMIN/,
    });
  });

  it('takes no plain file for a namespace', async () => {
    const command = await enteredPath({ fileSystemType: () => Promise.resolve(EXT4) });

    assert.equal(command, `nsenter --net=${PROCESS_FILE} -- ip route`);
  });

  it('knows the file system of real namespaces', async () => {
    assert.equal((await statfs('/proc/self/ns/net')).type, NSFS);
  });

  it("does not enter a process that is not the container's", async () => {
    const namespaces = createClientNamespaces({
      runner: fakeCommandRunner(),
      files: files({ fileSystemType: gone, text: () => Promise.resolve('0::/system.slice/cron.service') }),
    });

    await assert.rejects(namespaces.enter(client), {
      code: 'MSI_WIRING_NO_CAPABILITY',
      message: /process 4242 is not one of the container/,
    });
  });

  for (const own of ['/proc/self/ns/net', '/proc/1/ns/net']) {
    it(`refuses the namespace of ${own}`, async () => {
      const runner = fakeCommandRunner();
      const inode = (path: string) => Promise.resolve(path === own || path === client.sandboxKey ? 1 : 2);

      await assert.rejects(createClientNamespaces({ runner, files: files({ inode }) }).enter(client), {
        code: 'MSI_WIRING_NOT_APPLICABLE',
      });
      assert.deepEqual(runner.commands, []);
    });
  }

  it('names the missing right when it may not look', async () => {
    const inode = () => Promise.reject(Object.assign(new Error('EACCES'), { code: 'EACCES' }));

    await assert.rejects(
      createClientNamespaces({ runner: fakeCommandRunner(), files: files({ inode }) }).enter(client),
      { code: 'MSI_WIRING_NO_CAPABILITY' },
    );
  });

  describe('by exec, where no file leads in', () => {
    const noFiles = files({ fileSystemType: gone, text: gone });

    it("runs the container's own programs", async () => {
      const ran: string[] = [];
      const namespace = await createClientNamespaces({
        runner: fakeCommandRunner(),
        files: noFiles,
        execInContainer: (containerId, argv) => {
          ran.push(`${containerId.slice(0, 1)}: ${argv.join(' ')}`);
          return Promise.resolve({ exitCode: 0, stdout: '', stderr: '' });
        },
      }).enter(client);

      await namespace.runner.run('nft', ['list', 'tables']);

      assert.deepEqual(ran, ['c: nft list tables']);
      assert.equal(namespace.programsFrom, 'container');
    });

    it('names the program that the image lacks', async () => {
      const { runner } = await createClientNamespaces({
        runner: fakeCommandRunner(),
        files: noFiles,
        execInContainer: () => Promise.resolve({ exitCode: 127, stdout: '', stderr: 'not found' }),
      }).enter(client);

      await assert.rejects(runner.run('nft', []), {
        code: 'MSI_WIRING_NO_CAPABILITY',
        message: /has no nft.*no such file/,
      });
    });
  });
});
