import type { Clock, CommandResult } from '@msi-proxy/shared';
import { speaker, type Speaker } from '../language.ts';
import type { Switches } from '../switches.ts';
import { IpStack } from './ip-stack.ts';
import type { LinuxNetwork } from './linux-network.ts';
import { PortProxy, type RuleStore } from './port-proxy.ts';
import type { OpenRelay } from './relay.ts';
import { Service } from './service.ts';

export interface MachineOptions {
  readonly switches: Switches;
  readonly linux: LinuxNetwork;
  readonly clock: Clock;
  readonly rules: RuleStore;
  readonly openRelay: OpenRelay;
  /** Runs curl: its traffic is real wherever this machine's is. */
  readonly curl: (argv: readonly string[]) => Promise<CommandResult>;
}

/** The name of the service IP Helper, which serves the port proxy. */
export const IP_HELPER = 'iphlpsvc';

/** A Windows container, as far as forwarding 169.254.169.254 has to do with it. */
export class Machine {
  readonly switches: Switches;
  readonly linux: LinuxNetwork;
  readonly clock: Clock;
  readonly ip: IpStack;
  readonly portProxy: PortProxy;
  readonly services: readonly Service[];
  readonly say: Speaker;
  readonly curl: MachineOptions['curl'];

  constructor({ switches, linux, clock, rules, openRelay, curl }: MachineOptions) {
    const { dad, leakedAddress, retarget, iphlpsvc, language } = switches;
    this.switches = switches;
    this.linux = linux;
    this.clock = clock;
    this.curl = curl;
    this.say = speaker(language);
    this.ip = new IpStack({ linux, clock, dad, leakedAddress });
    const portProxy = new PortProxy({ rules, ip: this.ip, open: openRelay, retarget });
    this.portProxy = portProxy;
    this.services =
      iphlpsvc === 'absent'
        ? []
        : [
            new Service({
              name: IP_HELPER,
              start: async () => await portProxy.serve(),
              stop: () => portProxy.stopServing(),
              initially: iphlpsvc,
            }),
          ];
  }

  /** Starts the services that start with Windows. */
  async boot(): Promise<void> {
    for (const service of this.services) if (service.startType === 'Automatic') await service.start();
  }

  service(name: string): Service | undefined {
    return this.services.find(service => service.name.toLowerCase() === name.toLowerCase());
  }
}
