import { isIPv4 } from 'node:net';
import type { Speaker } from '../language.ts';
import type { AddressState, IpAddress, PolicyStore } from '../machine/ip-stack.ts';
import { prefixLengthOf } from '../machine/linux-network.ts';
import type { Machine } from '../machine/machine.ts';
import { ANY_ADDRESS, type PortProxyRule } from '../machine/port-proxy.ts';
import {
  printed,
  program,
  Refusal,
  requireAdministrator,
  type ProgramContext,
  type ProgramOutput,
} from './program.ts';

/** Values by tag. Documented order is the order of values without tags (learn.microsoft.com, "netsh"). */
type Values<Tag extends string> = Readonly<Partial<Record<Tag, string>>>;

interface Verb {
  readonly words: readonly string[];
  readonly changes: boolean;
  readonly tags: readonly string[];
  readonly required: readonly string[];
  readonly run: (values: Values<string>, machine: Machine) => ProgramOutput | Promise<ProgramOutput>;
}

const RULE_TAGS = ['listenport', 'connectaddress', 'connectport', 'listenaddress', 'protocol'];
const MAX_PORT = 65_535;

const VERBS: readonly Verb[] = [
  {
    words: ['interface', 'portproxy', 'show', 'v4tov4'],
    changes: false,
    tags: [],
    required: [],
    run: (_values, machine) => showRules(machine),
  },
  {
    words: ['interface', 'portproxy', 'add', 'v4tov4'],
    changes: true,
    tags: RULE_TAGS,
    required: ['listenport'],
    run: setRule,
  },
  {
    words: ['interface', 'portproxy', 'set', 'v4tov4'],
    changes: true,
    tags: RULE_TAGS,
    required: ['listenport'],
    run: setRule,
  },
  {
    words: ['interface', 'portproxy', 'delete', 'v4tov4'],
    changes: true,
    tags: ['listenport', 'listenaddress', 'protocol'],
    required: ['listenport'],
    run: deleteRule,
  },
  {
    words: ['interface', 'ipv4', 'show', 'ipaddresses'],
    changes: false,
    tags: [],
    required: [],
    run: (_values, machine) => showAddresses(machine),
  },
  {
    words: ['interface', 'ipv4', 'set', 'interface'],
    changes: true,
    tags: ['interface', 'dadtransmits', 'store'],
    required: ['interface'],
    run: setInterface,
  },
  {
    words: ['interface', 'ipv4', 'add', 'address'],
    changes: true,
    tags: ['name', 'address', 'mask', 'type', 'store', 'skipassource'],
    required: ['name', 'address'],
    run: addAddress,
  },
  {
    words: ['interface', 'ipv4', 'delete', 'address'],
    changes: true,
    tags: ['name', 'address', 'store'],
    required: ['name', 'address'],
    run: deleteAddress,
  },
];

/** `netsh` as documented, for the contexts `interface portproxy` and `interface ipv4`. */
export const netsh = program(
  async (argv, context) => {
    const { verb, rest } = findVerb(argv, context.machine.say);
    const values = bind(verb, rest, context.machine.say);
    if (verb.changes) assertRights(context);
    return await verb.run(values, context.machine);
  },
  (error, say) => [say(error.text), ''],
);

function assertRights(context: ProgramContext): void {
  requireAdministrator(context, 'needsElevation');
}

function findVerb(argv: readonly string[], say: Speaker): { verb: Verb; rest: readonly string[] } {
  const verb = VERBS.find(({ words }) => words.every((word, at) => argv[at]?.toLowerCase() === word));
  if (verb === undefined) throw new Refusal(1, say('badCommand', argv.join(' ')));
  return { verb, rest: argv.slice(verb.words.length) };
}

function bind({ tags, required }: Verb, rest: readonly string[], say: Speaker): Values<string> {
  const values: Record<string, string> = {};
  rest.forEach((argument, position) => {
    const [, tagged, text] = /^([a-z]+)=(.*)$/i.exec(argument) ?? [];
    const tag = tagged?.toLowerCase() ?? tags[position];
    if (tag === undefined || !tags.includes(tag) || tag in values) {
      throw new Refusal(1, say('badArgument', argument), say('badSyntax'), '');
    }
    values[tag] = text ?? argument;
  });
  if (required.some(tag => values[tag] === undefined)) throw new Refusal(1, say('badSyntax'), '');
  return values;
}

function showRules({ portProxy, say }: Machine): ProgramOutput {
  const rules = portProxy.rules();
  if (rules.length === 0) return printed('');
  const heading = (address: string, port: string) => `${address.padEnd(15)} ${port.padEnd(10)}`;
  const columns = heading(say('address'), say('port'));
  const line = heading('-'.repeat(15), '-'.repeat(10));
  return printed(
    '',
    `${say('listenOn').padEnd(27)} ${say('connectTo')}`,
    '',
    `${columns}  ${columns}`.trimEnd(),
    `${line} ${line}`.trimEnd(),
    ...rules.map(
      ({ listen, connect }) =>
        `${heading(listen.address, String(listen.port))} ${heading(connect.address, String(connect.port))}`,
    ),
    '',
  );
}

async function setRule(values: Values<string>, machine: Machine): Promise<ProgramOutput> {
  await machine.portProxy.set(readRule(values, machine.say));
  return printed('');
}

async function deleteRule(values: Values<string>, { portProxy, say }: Machine): Promise<ProgramOutput> {
  await portProxy.delete(readRule(values, say).listen);
  return printed('');
}

function readRule(values: Values<string>, say: Speaker): PortProxyRule {
  const { listenaddress = ANY_ADDRESS, connectaddress = 'localhost', protocol = 'tcp' } = values;
  if (protocol.toLowerCase() !== 'tcp') throw wrongValue(protocol, say);
  if (listenaddress !== ANY_ADDRESS && !isIPv4(listenaddress)) throw wrongValue(listenaddress, say);
  const listenPort = readPort(values['listenport'] ?? '', say);
  const connectPort = values['connectport'] === undefined ? listenPort : readPort(values['connectport'], say);
  return {
    listen: { address: listenaddress, port: listenPort },
    connect: { address: connectaddress, port: connectPort },
  };
}

function readPort(text: string, say: Speaker): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port < 1 || port > MAX_PORT) throw wrongValue(text, say);
  return port;
}

function showAddresses({ ip, say }: Machine): ProgramOutput {
  const active = ip.addresses().filter(({ store }) => store === 'ActiveStore');
  return printed(
    ...ip.interfaces().flatMap(({ index, alias }) => {
      const addresses = active.filter(({ interfaceIndex }) => interfaceIndex === index);
      return [
        '',
        `${say('interface')} ${index}: ${alias}`,
        '',
        say('addressHeading'),
        '---------  ----------- ---------- ---------- ------------------------',
        ...addresses.map(entry => addressRow(entry, say)),
      ];
    }),
    '',
  );
}

function addressRow({ address, state }: IpAddress, say: Speaker): string {
  const type = say(address.startsWith('127.') ? 'other' : 'manual').padEnd(10);
  const lifetime = say('infinite').padStart(10);
  return `${type} ${say(state satisfies AddressState).padEnd(11)} ${lifetime} ${lifetime} ${address}`;
}

function setInterface(values: Values<string>, { ip, say }: Machine): ProgramOutput {
  const { dadtransmits = '' } = values;
  if (!/^\d+$/.test(dadtransmits)) throw wrongValue(dadtransmits, say);
  readStores(values['store'], say);
  ip.setDadTransmits(readIndex(values['interface'], say), Number(dadtransmits));
  return printed(say('ok'), '');
}

async function addAddress(values: Values<string>, { ip, say }: Machine): Promise<ProgramOutput> {
  const { address = '', mask = '', type = 'unicast', skipassource = 'false' } = values;
  if (!isIPv4(address)) throw wrongValue(address, say);
  // What the mask is without one is not documented: it has to be given here.
  const prefixLength = isIPv4(mask) ? prefixLengthOf(mask) : NaN;
  if (Number.isNaN(prefixLength)) throw wrongValue(mask, say);
  if (type.toLowerCase() !== 'unicast') throw wrongValue(type, say);
  if (!['true', 'false'].includes(skipassource.toLowerCase())) throw wrongValue(skipassource, say);
  await ip.add({
    interfaceIndex: readIndex(values['name'], say),
    address,
    prefixLength,
    skipAsSource: skipassource.toLowerCase() === 'true',
    stores: readStores(values['store'], say),
  });
  return printed('');
}

async function deleteAddress(values: Values<string>, { ip, say }: Machine): Promise<ProgramOutput> {
  const { address = '' } = values;
  const index = readIndex(values['name'], say);
  if (!isIPv4(address)) throw wrongValue(address, say);
  const isThere = ip
    .addresses()
    .some(
      entry => entry.store === 'ActiveStore' && entry.interfaceIndex === index && entry.address === address,
    );
  if (!isThere) throw new Refusal(1, say('elementNotFound'), '');
  for (const store of readStores(values['store'], say)) {
    if (ip.addresses().some(entry => entry.store === store && entry.address === address)) {
      await ip.remove(address, store);
    }
  }
  return printed('');
}

/** Without `store`, both are written (learn.microsoft.com, "netsh interface ipv4"). */
function readStores(text: string | undefined, say: Speaker): readonly PolicyStore[] {
  switch (text?.toLowerCase()) {
    case undefined:
    case 'persistent':
      return ['ActiveStore', 'PersistentStore'];
    case 'active':
      return ['ActiveStore'];
    default:
      throw wrongValue(text ?? '', say);
  }
}

function readIndex(text: string | undefined, say: Speaker): number {
  // Names of interfaces differ between containers: only numbers are simulated.
  if (text === undefined || !/^\d+$/.test(text)) throw wrongValue(text ?? '', say);
  return Number(text);
}

function wrongValue(value: string, say: Speaker): Refusal {
  return new Refusal(1, say('badArgument', value), say('badParameter'), '');
}
