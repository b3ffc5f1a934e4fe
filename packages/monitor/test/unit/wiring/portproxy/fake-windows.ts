import { CLIENT_LABEL, MsiProxyError } from '@msi-proxy/shared';
import type { ContainerDetails, ExecResult, RunExecOptions } from '../../../../src/docker/index.ts';
import type { PortproxyWiringDependencies } from '../../../../src/wiring/portproxy/portproxy.ts';
import { network, proxyTarget, wirableClient } from '../../support/clients.ts';

export const CLIENT_ADDRESS = '172.21.198.75';

export const windowsClient = wirableClient({
  platform: 'windows',
  isolation: 'process',
  networks: [network({ name: 'nat', driver: 'nat', address: CLIENT_ADDRESS })],
});

export const windowsTarget = {
  ...proxyTarget,
  address: '172.21.192.9',
  addressesByNetwork: { nat: '172.21.192.9' },
};

/** What the observing script prints where all is well. */
export const WORKING_REPORT = {
  user: 'ContainerAdministrator',
  changes: [],
  failedStep: '',
  failure: '',
  failureId: '',
  interfaceIndex: 29,
  addresses: [{ interfaceIndex: 29, prefixLength: 32, state: 'Preferred', skipAsSource: true }],
  persistentAddresses: 0,
  service: 'Running',
  rules: ['169.254.169.254 80          172.21.192.9    80'],
  listeners: ['169.254.169.254'],
  answer: ['HTTP/1.1 200 OK', 'X-MSI-Proxy-Instance: instance-1'],
};

export type Report = Record<keyof typeof WORKING_REPORT, unknown>;

export function reportText(changes: Partial<Report> = {}): string {
  return `msi-proxy-report\r\n${JSON.stringify({ ...WORKING_REPORT, ...changes })}\r\n`;
}

export interface FakeExec {
  readonly argv: readonly string[];
  readonly user: string | undefined;
}

type Respond = (argv: readonly string[]) => Partial<ExecResult> | Error;

/** An engine that carries out commands in one container as told. */
export class FakeWindowsEngine implements Pick<
  PortproxyWiringDependencies['engine'],
  'runExec' | 'inspectContainer'
> {
  readonly execs: FakeExec[] = [];
  state: ContainerDetails['state'] | 'gone' = 'running';
  readonly #respond: Respond;

  constructor(respond: Respond) {
    this.#respond = respond;
  }

  async runExec(
    _containerId: string,
    argv: readonly string[],
    { user }: RunExecOptions = {},
  ): Promise<ExecResult> {
    await Promise.resolve();
    this.execs.push({ argv, user });
    const response = this.#respond(argv);
    if (response instanceof Error) throw response;
    return { exitCode: 0, stdout: '', stderr: '', ...response };
  }

  async inspectContainer(id: string): Promise<ContainerDetails | undefined> {
    await Promise.resolve();
    if (this.state === 'gone') return undefined;
    return {
      id,
      name: 'app',
      image: 'app',
      labels: { [CLIENT_LABEL]: '' },
      platform: 'windows',
      state: this.state,
      startedAt: windowsClient.startedAt,
      pid: 1,
      networkMode: 'nat',
      sandboxKey: '',
      networks: [],
      mayForgePackets: false,
      isolation: 'process',
    };
  }

  /** The PowerShell scripts that were run, decoded. */
  get scripts(): string[] {
    return this.execs.flatMap(({ argv }) => {
      const encoded = argv[argv.indexOf('-EncodedCommand') + 1] ?? '';
      return argv[0] === 'powershell' ? [Buffer.from(encoded, 'base64').toString('utf16le')] : [];
    });
  }

  /** The lines that the command interpreter was given. */
  get lines(): string[] {
    return this.execs.flatMap(({ argv }) => (argv[0] === 'cmd' ? [argv.at(-1) ?? ''] : []));
  }
}

export function engineRefusal(status: number): MsiProxyError {
  return new MsiProxyError('MSI_ENGINE_REQUEST', `The Docker engine answered "create exec" with ${status}`);
}
