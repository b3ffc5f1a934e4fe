import { isIPv4 } from 'node:net';
import type { AddressState } from '../machine/ip-stack.ts';
import { maskOf, prefixLengthOf, type LinuxRoute } from '../machine/linux-network.ts';
import type { Machine } from '../machine/machine.ts';
import { printed, program, Refusal, requireAdministrator, type ProgramOutput } from './program.ts';

const RULER = '='.repeat(75);
/** Windows adds the metric of the interface to that of the route; the sum is what is printed. */
const INTERFACE_METRIC = 256;

/** `route print -4`, `route add` and `route delete` with mask, gateway and metric. Its exit code says nothing. */
export const route = program(
  async (argv, context) => {
    const { machine } = context;
    const [verb = '', ...rest] = argv.map(argument => argument.toLowerCase());
    if (verb === 'print' && rest.join(' ') === '-4') return printRoutes(machine);
    if (verb !== 'add' && verb !== 'delete') throw usage();
    const { destination, prefixLength, gateway } = readRoute(verb, rest);
    requireAdministrator(context, 'needsElevation');
    const isThere = machine.linux
      .routes()
      .some(
        known =>
          known.destination === destination &&
          known.prefixLength === prefixLength &&
          known.gateway === gateway,
      );
    if (verb === 'add') {
      if (isThere) return printed(machine.say('routeExists'), '');
      await machine.linux.addRoute(destination, prefixLength, gateway);
    } else {
      if (!isThere) return printed(machine.say('routeNotFound'), '');
      await machine.linux.deleteRoute(destination, prefixLength, gateway);
    }
    return printed(` ${machine.say('ok')}`);
  },
  (error, say) => [say(error.text), ''],
);

function readRoute(
  verb: 'add' | 'delete',
  [destination = '', mask, netmask = '', gateway = '', ...rest]: readonly string[],
): { destination: string; prefixLength: number; gateway: string } {
  const prefixLength = isIPv4(netmask) ? prefixLengthOf(netmask) : NaN;
  const [metric, number = ''] = rest;
  const hasRest = verb === 'add' && metric === 'metric' && /^\d+$/.test(number) && rest.length === 2;
  if (!isIPv4(destination) || mask !== 'mask' || Number.isNaN(prefixLength) || !isIPv4(gateway))
    throw usage();
  if (rest.length > 0 && !hasRest) throw usage();
  return { destination, prefixLength, gateway };
}

function printRoutes({ linux, ip, say }: Machine): ProgramOutput {
  const addressOn = new Map(
    linux.interfaces().map(({ name, addresses }) => [name, addresses[0]?.address ?? '']),
  );
  const row = ({ destination, prefixLength, gateway, interfaceName, metric }: LinuxRoute) =>
    columns(
      destination,
      maskOf(prefixLength),
      gateway ?? say('onLink'),
      addressOn.get(interfaceName) ?? '',
      metric + INTERFACE_METRIC,
    );
  const preferred: AddressState = 'Preferred';
  const added = ip
    .addresses()
    .filter(
      ({ store, state, prefixLength }) =>
        store === 'ActiveStore' && state === preferred && prefixLength === 32,
    )
    .map(({ address }) => columns(address, maskOf(32), say('onLink'), address, INTERFACE_METRIC));
  const persistent = ip.addresses().filter(({ store }) => store === 'PersistentStore');
  return printed(
    RULER,
    say('interfaceList'),
    ...ip
      .interfaces()
      .map(({ index, alias }) => `${String(index).padStart(3)}...........................${alias}`),
    RULER,
    '',
    say('routeTable'),
    RULER,
    say('activeRoutes'),
    say('routeHeading'),
    ...linux.routes().map(row),
    ...added,
    RULER,
    say('persistentRoutes'),
    ...(persistent.length === 0
      ? [`  ${say('none')}`]
      : [
          say('persistentHeading'),
          ...persistent.map(
            ({ address }) => `  ${address.padStart(15)}  255.255.255.255          0.0.0.0  Default`,
          ),
        ]),
    RULER,
  );
}

function columns(
  destination: string,
  mask: string,
  gateway: string,
  address: string,
  metric: number,
): string {
  const [first, second, third, fourth] = [destination, mask, gateway, address].map(text => text.padStart(16));
  return `${first!.padStart(17)}${second}${third!.padStart(17)}${fourth}${String(metric).padStart(7)}`;
}

function usage(): Refusal {
  return new Refusal(1, '', 'Manipulates network routing tables.', '');
}
