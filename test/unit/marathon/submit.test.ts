import assert from 'node:assert/strict';
import { join } from 'node:path';
import { Disposables } from '@msi-proxy/shared/testing';
import { adapt } from '../../../deploy/marathon/lib/app-definition.ts';
import { deploy } from '../../../deploy/marathon/lib/deploy.ts';
import { MarathonClient } from '../../../deploy/marathon/lib/marathon-client.ts';
import { repositoryRoot } from '../../../scripts/lib/repository.ts';
import { runCommand, type CommandOutput } from '../../lab/run-command.ts';
import { definitionFile, readApp } from '../../marathon/definitions.ts';
import { FakeMarathon, type FakeMarathonOptions } from '../../marathon/fake-marathon.ts';

const TOKEN = 'eyJ-not-a-real-token';

describe('submitting app definitions to Marathon', () => {
  let disposables: Disposables;
  beforeEach(() => {
    disposables = new Disposables();
  });
  afterEach(() => disposables.dispose());

  async function startMarathon(options?: FakeMarathonOptions): Promise<FakeMarathon> {
    return disposables.add(await FakeMarathon.start(options));
  }

  async function submit(args: readonly string[], env: Record<string, string> = {}): Promise<CommandOutput> {
    return await runCommand([process.execPath, join(repositoryRoot, 'deploy/marathon/submit.ts'), ...args], {
      env: { ...process.env, NODE_NO_WARNINGS: '1', ...env },
    });
  }

  it('replaces each app by its definition, in the order given, and waits for it', async () => {
    const marathon = await startMarathon();
    const files = ['proxy-linux', 'monitor-linux'].map(definitionFile);
    const output = await submit(['--url', `${marathon.url}/service/marathon`, '--instances', '3', ...files]);
    assert.equal(output.exitCode, 0, output.stderr);
    assert.deepEqual(
      marathon.requests.map(({ method, path }) => `${method} ${path}`),
      ['proxy', 'monitor'].flatMap(role => [
        `PUT /service/marathon/v2/apps/msi-proxy/${role}-linux?partialUpdate=false`,
        'GET /service/marathon/v2/deployments',
        'GET /service/marathon/v2/deployments',
        `GET /service/marathon/v2/apps/msi-proxy/${role}-linux?embed=app.counts`,
      ]),
    );
    assert.deepEqual(marathon.requests[0]?.body, { ...readApp('proxy-linux'), instances: 3 });
    assert.match(output.stdout, /\/msi-proxy\/monitor-linux: 3 of 3 instances run/);
  });

  it('sends the token from the environment and says it to nobody else', async () => {
    const marathon = await startMarathon({ refusal: [401, { message: 'no' }] });
    const output = await submit(['--url', marathon.url, definitionFile('proxy-linux')], {
      MARATHON_TOKEN: TOKEN,
    });
    assert.equal(marathon.requests[0]?.authorization, `token=${TOKEN}`);
    assert.match(output.stderr, /401, not allowed: set MARATHON_TOKEN/);
    assert.ok(!(output.stdout + output.stderr).includes(TOKEN));
  });

  it('submits nothing when one of the definitions cannot be used', async () => {
    const marathon = await startMarathon();
    const output = await submit(['--url', marathon.url, definitionFile('proxy-linux'), '/absent.json']);
    assert.equal(output.exitCode, 1);
    assert.match(output.stderr, /\/absent\.json cannot be read/);
    assert.deepEqual(marathon.requests, []);
  });

  const badArguments: readonly [args: readonly string[], reason: RegExp][] = [
    [['--url', 'marathon:8080'], /--url is "marathon:8080": expected Marathon's, http or https/],
    [[], /--url is not given/],
    [['--url', 'http://me:secret@m'], /--url has a user or password/],
    [['--instances', '0'], /--instances is "0": expected the number of agents/],
    [['--tag', '-x'], /--tag|'--tag'/],
    [['--tag', 'a b'], /--tag is "a b"/],
    [['--registry', 'Reg;x'], /--registry is "Reg;x"/],
    [['--timeout', '1h'], /--timeout is "1h"/],
    [['--instance', '1'], /Unknown option '--instance'/],
  ];
  for (const [args, reason] of badArguments) {
    it(`refuses ${args.length === 0 ? 'to guess the URL' : args.join(' ')}`, async () => {
      const { exitCode, stderr } = await submit([...args, definitionFile('proxy-linux')]);
      assert.equal(exitCode, 1);
      assert.match(stderr, reason);
      assert.ok(!stderr.includes('    at '), 'no stack');
    });
  }

  it('prints with --dry-run what it would submit, and asks nobody', async () => {
    const output = await submit([
      '--dry-run',
      '--registry',
      'registry.example:5000/team',
      '--tag',
      '0.1.0',
      definitionFile('proxy-windows'),
    ]);
    const [app] = JSON.parse(output.stdout) as { container: { docker: { image: string } } }[];
    assert.equal(app?.container.docker.image, 'registry.example:5000/team/msi-proxy/proxy:0.1.0');
  });

  it('repeats what Marathon finds wrong', async () => {
    const marathon = await startMarathon({
      refusal: [
        422,
        {
          message: 'Object is not valid',
          details: [{ path: '/mem', errors: ['got -1, expected 0 or more'] }],
        },
      ],
    });
    const { stderr } = await submit(['--url', marathon.url, definitionFile('proxy-linux')]);
    assert.match(stderr, /422\. Object is not valid; \/mem: got -1, expected 0 or more/);
  });

  it('says that another deployment is in the way', async () => {
    const marathon = await startMarathon({ refusal: [409, { message: 'App is locked' }] });
    const { stderr } = await submit(['--url', marathon.url, definitionFile('proxy-linux')]);
    assert.match(stderr, /409, another deployment of this app is under way.*App is locked/);
  });

  it('says that there is nobody at the URL', async () => {
    const marathon = await startMarathon();
    const { url } = marathon;
    await marathon[Symbol.asyncDispose]();
    const { stderr } = await submit(['--url', url, definitionFile('proxy-linux')]);
    assert.match(stderr, /no answer: .*ECONNREFUSED/);
  });

  it('says how far a deployment came that does not end', async () => {
    const marathon = await startMarathon({ pollsUntilDeployed: Infinity, tasksRunning: 2 });
    await assert.rejects(
      deploy([adapt(readApp('proxy-windows'), { instances: 3 })], {
        marathon: new MarathonClient({ url: new URL(marathon.url) }),
        timeoutMillis: 20,
        pollMillis: 5,
        say: () => {},
      }),
      /2 of 3 instances run\. An instance that waits has no agent/,
    );
  });

  it('does not take a deployment that was given up for a success', async () => {
    const marathon = await startMarathon({ tasksRunning: 0 });
    await assert.rejects(
      deploy([adapt(readApp('proxy-linux'), { instances: 3 })], {
        marathon: new MarathonClient({ url: new URL(marathon.url) }),
        timeoutMillis: 5_000,
        pollMillis: 5,
        say: () => {},
      }),
      /the deployment ended, yet 0 of 3 instances run/,
    );
  });

  it("keeps the port of an image's registry", () => {
    const image = (name: string, tag?: string) =>
      adapt({ id: '/a', container: { docker: { image: name } } }, { ...(tag !== undefined && { tag }) })
        .container.docker.image;
    assert.equal(image('r.example:5000/proxy', '2'), 'r.example:5000/proxy:2');
    assert.equal(image('r.example:5000/proxy:1', '2'), 'r.example:5000/proxy:2');
    assert.equal(image('proxy:1'), 'proxy:1');
  });
});
