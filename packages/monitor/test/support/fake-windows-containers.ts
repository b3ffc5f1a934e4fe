import type { ExecProcess } from './fake-engine/exec-connection.ts';

/** What holds inside one container. */
export interface FakeForwarding {
  proxyAddress: string;
  instanceId: string;
}

type Report = Readonly<Record<string, unknown>>;

/** Windows containers with PowerShell, which understand the scripts of the product by their parameters. */
export class FakeWindowsContainers {
  /** By container id. */
  readonly forwarding = new Map<string, FakeForwarding>();
  /** What the scripts were for, in order. */
  readonly scripts: { readonly containerId: string; readonly kind: 'apply' | 'remove' }[] = [];
  /** How often a request was made in a container. */
  asked = 0;
  /** What comes of changing a rule alone; undefined when it has no effect. */
  retarget: (proxyAddress: string) => FakeForwarding | undefined = () => undefined;
  /** Reported by the containers in place of what holds. */
  report: Report = {};
  /** Called before a script is carried out. */
  onScript: () => void = () => undefined;

  /** @returns whether the command is one for such a container */
  accept({ argv, user, containerId, stdout, exit }: ExecProcess): boolean {
    if (user !== 'ContainerAdministrator') return false;
    if (argv[0] === 'curl.exe') {
      const forwarding = this.forwarding.get(containerId);
      if (forwarding !== undefined) stdout.write(answerOf(forwarding).join('\r\n'));
      this.asked += 1;
      exit(forwarding === undefined ? 7 : 0);
      return true;
    }
    if (argv[0] === 'cmd' && argv.at(-1)!.includes('portproxy set')) {
      this.onScript();
      const address = /portproxy set .*connectaddress=(\S+)/.exec(argv.at(-1)!)?.[1] ?? '';
      const forwarding = this.retarget(address);
      if (forwarding !== undefined) {
        this.forwarding.set(containerId, forwarding);
        stdout.write(answerOf(forwarding).join('\r\n'));
      }
      exit(0);
      return true;
    }
    if (argv[0] !== 'powershell') return false;
    this.onScript();
    const script = Buffer.from(argv.at(-1) ?? '', 'base64').toString('utf16le');
    stdout.write(
      `msi-proxy-report\r\n${JSON.stringify({ ...this.#run(containerId, script), ...this.report })}\r\n`,
    );
    exit(0);
    return true;
  }

  #run(containerId: string, script: string): Report {
    const changes: string[] = [];
    if (script.includes('New-NetIPAddress')) {
      this.scripts.push({ containerId, kind: 'apply' });
      const wanted = {
        proxyAddress: parameter(script, 'ProxyAddress'),
        instanceId: /:\\s\*(.*)\\s\*\$$/.exec(parameter(script, 'WantedAnswer'))?.[1] ?? '',
      };
      const before = this.forwarding.get(containerId);
      if (before === undefined) changes.push('address', 'set');
      else if (before.proxyAddress !== wanted.proxyAddress) changes.push('retarget', 'set');
      this.forwarding.set(containerId, wanted);
    } else {
      this.scripts.push({ containerId, kind: 'remove' });
      this.forwarding.delete(containerId);
    }
    return { ...observed(this.forwarding.get(containerId)), changes };
  }
}

function observed(forwarding: FakeForwarding | undefined): Report {
  const common = { user: 'ContainerAdministrator', failedStep: '', interfaceIndex: 4, service: 'Running' };
  if (forwarding === undefined) return { ...common, addresses: [], rules: [], listeners: [], answer: [] };
  return {
    ...common,
    addresses: [{ interfaceIndex: 4, prefixLength: 32, state: 'Preferred', skipAsSource: true }],
    rules: [`169.254.169.254 80          ${forwarding.proxyAddress}    80`],
    listeners: ['169.254.169.254'],
    answer: answerOf(forwarding),
  };
}

function answerOf({ instanceId }: FakeForwarding): string[] {
  return ['HTTP/1.1 200 OK', `X-MSI-Proxy-Instance: ${instanceId}`];
}

function parameter(script: string, name: string): string {
  return new RegExp(`^\\$${name} = '(.*)'$`, 'm').exec(script)?.[1] ?? '';
}
