import assert from 'node:assert/strict';
import { type CommandResult, INSTANCE_HEADER, READY_PATH } from '@msi-proxy/shared';
import { createNamespaceProbe } from '../../../src/wiring/namespace-probe.ts';
import type { ProbeOutcome } from '../../../src/wiring/probe.ts';
import { fakeCommandRunner, notInstalled } from '../support/fake-command-runner.ts';

const OWN_ARGV = ['probe', '--once'] as const;

describe('createNamespaceProbe', () => {
  async function outcomeOf(result: Partial<CommandResult>): Promise<ProbeOutcome> {
    return await createNamespaceProbe(OWN_ARGV).ask(fakeCommandRunner(() => result));
  }

  it('asks by curl for the ready path, without a proxy of its own or the header that IMDS wants', async () => {
    const runner = fakeCommandRunner(() => ({ stdout: 'HTTP/1.1 200 OK\r\n\r\n' }));

    await createNamespaceProbe(OWN_ARGV).ask(runner);

    const [command] = runner.commands;
    assert.equal(runner.commands.length, 1);
    assert.match(command!, /^curl --disable /);
    assert.ok(command!.includes(' --noproxy * '));
    assert.ok(command!.endsWith(' --config -'));
    assert.equal(runner.inputs[0], `url = "http://169.254.169.254:80${READY_PATH}"\n`);
    assert.doesNotMatch(command!, /metadata:/i);
  });

  it('names the proxy that answered, whatever the case of its header, also one that is not ready', async () => {
    for (const name of [INSTANCE_HEADER, INSTANCE_HEADER.toLowerCase()]) {
      assert.deepEqual(
        await outcomeOf({ stdout: `HTTP/1.1 503 Service Unavailable\r\n${name}: instance-1\r\n\r\n` }),
        { status: 503, instanceId: 'instance-1' },
      );
    }
  });

  it('names nobody when IMDS answered', async () => {
    assert.deepEqual(await outcomeOf({ stdout: 'HTTP/1.1 400 Bad Request\r\nServer: IMDS\r\n\r\n' }), {
      status: 400,
      instanceId: '',
    });
  });

  it('has an answer whose end did not come in time', async () => {
    const stderr = 'curl: (28) Operation timed out after 2500 milliseconds with 7 bytes received\n';

    assert.deepEqual(await outcomeOf({ exitCode: 28, stderr, stdout: 'HTTP/1.1 200 OK\r\nA: b\r\n\r\n' }), {
      status: 200,
      instanceId: '',
    });
  });

  it('tells why there is no answer', async () => {
    const stderr =
      "curl: (7) Failed to connect to 169.254.169.254 port 80 after 0 ms: Couldn't connect to server\n";

    assert.deepEqual(await outcomeOf({ exitCode: 7, stderr }), {
      failure: "Failed to connect to 169.254.169.254 port 80 after 0 ms: Couldn't connect to server",
    });
  });

  it('throws when curl came to harm', async () => {
    await assert.rejects(outcomeOf({ exitCode: 127, stderr: 'error while loading shared libraries' }), {
      code: 'MSI_WIRING_COMMAND',
      message: 'The probe ended with exit code 127',
    });
  });

  describe('without curl', () => {
    const runner = (stdout: string) =>
      fakeCommandRunner(command => (command.startsWith('curl ') ? notInstalled('curl') : { stdout }));

    it("asks by this program's own command, and does not look for curl again", async () => {
      const outcome = { status: 200, instanceId: 'instance-1' };
      const commands = runner(JSON.stringify(outcome));
      const probe = createNamespaceProbe(OWN_ARGV);

      assert.deepEqual(await probe.ask(commands), outcome);
      assert.deepEqual(await probe.ask(commands), outcome);

      assert.deepEqual(commands.commands.slice(1), ['probe --once', 'probe --once']);
    });

    it('throws when it printed no outcome', async () => {
      await assert.rejects(createNamespaceProbe(OWN_ARGV).ask(runner('')), { code: 'MSI_WIRING_COMMAND' });
    });
  });
});
