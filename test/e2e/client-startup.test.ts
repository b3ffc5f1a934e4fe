import assert from 'node:assert/strict';
import { buildImage, IMAGES } from '../../scripts/lib/image-builder.ts';
import { BASE_IMAGE, preparedEngineData, SimulatedVm, type CommandOutput } from '../lab/index.ts';

const IMAGE = 'msi-proxy/client';

/** A stand-in for the proxy on the container's own loopback, which answers every request alike. */
const standIn = (status: number, body: string) =>
  `require("http").createServer((_, r) => r.writeHead(${status}).end(${JSON.stringify(body)})).listen(80)`;

for (const tool of ['curl', 'node'] as const) {
  describe(`the client image's startup script, asking with ${tool}`, () => {
    let vm: SimulatedVm;

    before(async () => {
      vm = await SimulatedVm.start({ imds: false, preparedData: await preparedEngineData() });
      await buildImage(IMAGES.client, { docker: args => vm.engine.docker(args), baseImage: BASE_IMAGE });
    });
    after(() => vm.remove());

    it('becomes the command as soon as the proxy serves the container', async () => {
      const { exitCode, stdout } = await run(standIn(200, '{}'), {}, [
        'sh',
        '-c',
        'echo "I am $$: $0"',
        'the command',
      ]);
      assert.deepEqual([exitCode, stdout], [0, 'I am 1: the command\n']);
    });

    it('says what the proxy answered when it does not serve in time, and exits', async () => {
      const env = { MSI_CLIENT_WAIT_SECONDS: '1' };
      const { exitCode, stdout, stderr } = await run(standIn(503, '{"error":"no monitor"}'), env, [
        'echo',
        'started',
      ]);
      assert.deepEqual([exitCode, stdout], [1, '']);
      assert.match(stderr, /not served after 1 s: the proxy answered 503: \{"error":"no monitor"\}/);
    });

    it('says that nothing answers, and starts the command all the same on request', async () => {
      const env = { MSI_CLIENT_WAIT_SECONDS: '0', MSI_CLIENT_WAIT_FAILURE: 'continue' };
      const { exitCode, stdout, stderr } = await run('', env, ['echo', 'started']);
      assert.deepEqual([exitCode, stdout], [0, 'started\n']);
      assert.match(stderr, /nothing answers at http:\/\/169\.254\.169\.254/);
    });

    for (const [name, value] of [
      ['MSI_CLIENT_WAIT_SECONDS', 'soon'],
      ['MSI_CLIENT_WAIT_SECONDS', '-1'],
      ['MSI_CLIENT_WAIT_FAILURE', 'retry'],
    ] as const) {
      it(`refuses ${name}=${value}, naming both and what is expected`, async () => {
        const { exitCode, stderr } = await run('', { [name]: value }, ['echo', 'started']);
        assert.equal(exitCode, 78);
        assert.match(stderr, new RegExp(`${name} is "${value}": expected `));
      });
    }

    async function run(
      server: string,
      env: Readonly<Record<string, string>>,
      command: readonly string[],
    ): Promise<CommandOutput> {
      // The stand-in listens before the script asks: the shell waits for its line.
      const setUp = [
        'ip address add 169.254.169.254/32 dev lo',
        tool === 'node' ? 'rm /usr/bin/curl' : ':',
        '[ -z "$SERVER" ] || node --eval "$SERVER" >/dev/null 2>&1 &',
        '[ -z "$SERVER" ] || until (exec 3<>/dev/tcp/169.254.169.254/80) 2>/dev/null; do sleep 0.05; done',
        'exec msi-client-startup "$@"',
      ];
      const variables = Object.entries({ ...env, SERVER: server }).flatMap(([key, value]) => [
        '--env',
        `${key}=${value}`,
      ]);
      return await vm.engine.run([
        'run',
        '--rm',
        '--cap-add',
        'NET_ADMIN',
        ...variables,
        '--entrypoint',
        'bash',
        IMAGE,
        '-c',
        setUp.join('\n'),
        'bash',
        ...command,
      ]);
    }
  });
}
