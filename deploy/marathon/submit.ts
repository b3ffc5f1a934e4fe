/**
 * Submits app definitions to Marathon and waits until they run. Needs Node 22.18 or later and nothing else.
 * `node deploy/marathon/submit.ts --help` explains.
 */
import { parseArgs } from 'node:util';
import { adapt, readDefinition, readInstances, readRegistry, readTag } from './lib/app-definition.ts';
import { deploy } from './lib/deploy.ts';
import { MarathonClient } from './lib/marathon-client.ts';

const HELP = `Usage: node deploy/marathon/submit.ts --url <marathon> [options] <definition.json>...

Submits the definitions in the order given and waits until each is deployed. Submitting again upgrades.

  --url <url>        Marathon: http://<master>:8080, or https://<cluster>/service/marathon with DC/OS
  --instances <n>    the number of agents: one instance runs on each (default: what the definition says)
  --registry <name>  in front of the images, such as registry.example:5000/team
  --tag <tag>        of the images, such as 0.1.0
  --timeout <s>      how long each deployment may take (default 600)
  --dry-run          print what would be submitted, and end

MARATHON_TOKEN       environment: an authentication token of DC/OS
`;

const EXIT_FAILURE = 1;
const EXIT_USAGE = 64;

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`✗ ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = EXIT_FAILURE;
}

async function main(): Promise<number> {
  const { values, positionals: files } = parseArgs({
    allowPositionals: true,
    options: {
      url: { type: 'string' },
      instances: { type: 'string' },
      registry: { type: 'string' },
      tag: { type: 'string' },
      timeout: { type: 'string', default: '600' },
      'dry-run': { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  if (files.length === 0) {
    console.error(`No definition given.\n\n${HELP}`);
    return EXIT_USAGE;
  }
  const adaptation = {
    ...(values.instances !== undefined && { instances: readInstances(values.instances) }),
    ...(values.registry !== undefined && { registry: readRegistry(values.registry) }),
    ...(values.tag !== undefined && { tag: readTag(values.tag) }),
  };
  const timeoutMillis = readSeconds(values.timeout) * 1_000;
  const definitions = (await Promise.all(files.map(readDefinition))).map(definition =>
    adapt(definition, adaptation),
  );
  if (values['dry-run']) {
    console.log(JSON.stringify(definitions, null, 2));
    return 0;
  }
  const url = readUrl(values.url);
  const token = readToken(process.env['MARATHON_TOKEN']);
  if (token !== undefined && url.protocol === 'http:') {
    console.error('! --url is not https: whoever is on the way can read the token');
  }
  const marathon = new MarathonClient({ url, ...(token !== undefined && { token }) });
  await deploy(definitions, { marathon, timeoutMillis, say: text => console.log(text) });
  return 0;
}

function readUrl(text: string | undefined): URL {
  const url = text === undefined ? null : URL.parse(text);
  if (url === null || !['http:', 'https:'].includes(url.protocol)) {
    throw new Error(
      `--url is ${text === undefined ? 'not given' : `"${text}"`}: expected Marathon's, http or https`,
    );
  }
  if (url.username !== '' || url.password !== '') {
    throw new Error(
      '--url has a user or password in it, which every user of this machine can read: use MARATHON_TOKEN',
    );
  }
  return url;
}

function readToken(text: string | undefined): string | undefined {
  if (text === undefined || text === '') return undefined;
  // Not quoted: it is a secret.
  if (!/^[\x21-\x7e]+$/.test(text))
    throw new Error('MARATHON_TOKEN is no token: it has a space or an odd character');
  return text;
}

function readSeconds(text: string): number {
  if (!/^[1-9]\d{0,4}$/.test(text))
    throw new Error(`--timeout is "${text}": expected seconds from 1 to 99999`);
  return Number(text);
}
