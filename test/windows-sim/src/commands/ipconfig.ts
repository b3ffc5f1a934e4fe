import { maskOf } from '../machine/linux-network.ts';
import { printed, program, Refusal } from './program.ts';

/** `ipconfig` without options. */
export const ipconfig = program(
  async (argv, { machine: { ip, linux, say } }) => {
    if (argv.length > 0) throw new Refusal(1, `Error: unrecognized or incomplete command line.`, '');
    const gateway = linux.routes().find(({ prefixLength }) => prefixLength === 0)?.gateway ?? '';
    const row = (name: string, value: string) => `   ${`${name} `.padEnd(36, '. ')}: ${value}`;
    const active = ip
      .addresses()
      .filter(({ store, state }) => store === 'ActiveStore' && state === 'Preferred');
    return await Promise.resolve(
      printed(
        '',
        say('ipConfiguration'),
        ...ip
          .interfaces()
          .filter(({ alias }) => !alias.startsWith('Loopback'))
          .flatMap(({ index, alias }) => [
            '',
            '',
            `Ethernet adapter ${alias}:`,
            '',
            ...active
              .filter(({ interfaceIndex }) => interfaceIndex === index)
              .flatMap(({ address, prefixLength }) => [
                row(say('ipv4Address'), address),
                row(say('subnetMask'), maskOf(prefixLength)),
              ]),
            row(say('defaultGateway'), gateway),
          ]),
      ),
    );
  },
  (error, say) => [say(error.text)],
);
