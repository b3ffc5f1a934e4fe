import { IMDS_ADDRESS } from '@msi-proxy/shared';
import type { ExecResult } from '../../../../src/docker/index.ts';
import { CLIENT_ADDRESS, windowsTarget } from './fake-windows.ts';

/** The words of an installation of Windows in one language, as far as they occur in what is read. */
export interface Language {
  readonly interface: string;
  readonly addressHeadings: string;
  readonly states: Readonly<Record<'Tentative' | 'Preferred' | 'Duplicate', string>>;
  readonly ruleHeadings: readonly string[];
  readonly listening: string;
}

export const ENGLISH: Language = {
  interface: 'Interface',
  addressHeadings: 'Addr Type  DAD State   Valid Life Pref. Life Address',
  states: { Tentative: 'Tentative', Preferred: 'Preferred', Duplicate: 'Duplicate' },
  ruleHeadings: [
    'Listen on ipv4:             Connect to ipv4:',
    'Address         Port        Address         Port',
  ],
  listening: 'LISTENING',
};

export const GERMAN: Language = {
  interface: 'Schnittstelle',
  addressHeadings: 'Adresstyp  DAD-Status  Gültigkeit Bevorzugt Adresse',
  states: { Tentative: 'Vorläufig', Preferred: 'Bevorzugt', Duplicate: 'Doppelt' },
  ruleHeadings: [
    'Abhören auf ipv4:            Verbinden mit ipv4:',
    'Adresse         Port        Adresse         Port',
  ],
  listening: 'ABHÖREN',
};

/** Code page 932 read as UTF-8, as it reaches the monitor. */
export const JAPANESE: Language = {
  interface: '�C���^�[�t�F�C�X',
  addressHeadings: '��ʂ̎��  DAD �̏��  �L������  ��������  �A�h���X',
  states: { Tentative: '�b��', Preferred: '�D��', Duplicate: '�d��' },
  ruleHeadings: [
    'ipv4 �����b�X��:          ipv4 �ɐڑ�����:',
    '�A�h���X        �|�[�g      �A�h���X        �|�[�g',
  ],
  listening: 'LISTENING',
};

const ANSWER = 'HTTP/1.1 200 OK\r\nX-MSI-Proxy-Instance: instance-1\r\n\r\n{"ready":true}\r\n';
const INTERFACE_INDEX = 4;

/** A nanoserver container: no PowerShell, and the programs that the command interpreter is told to run. */
export class FakeNanoserver {
  language = ENGLISH;
  user = 'ContainerAdministrator';
  hasNetsh = true;
  hasPortProxy = true;
  service: 'running' | 'stopped' | 'absent' | 'broken' = 'running';
  address: 'Tentative' | 'Preferred' | 'Duplicate' | undefined;
  interfaceIndex = INTERFACE_INDEX;
  /** What a new address is, at each look. */
  addressStates: NonNullable<FakeNanoserver['address']>[] = ['Preferred'];
  rule: string | undefined;
  others: readonly string[] = ['0.0.0.0         8080        10.0.0.1        80'];
  /** Where the service really forwards to, which a changed rule may not reach. */
  forwardsTo: string | undefined;
  /** The weakest remedy that has an effect. */
  works: 'set' | 'replace' | 'restart' | 'never' = 'set';
  proxyReachable = true;
  readonly commands: string[] = [];

  readonly respond = (argv: readonly string[]): Partial<ExecResult> => {
    if (argv[0] === 'curl.exe') return { stdout: this.#run(argv.join(' ')) };
    if (argv[0] !== 'cmd') return { exitCode: 127, stdout: 'container encountered an error: (0x2)\r\n' };
    const commands = argv.at(-1)!.split('&');
    return { stdout: commands.map(command => this.#run(command)).join('') };
  };

  /** As a working container is. */
  settle(): void {
    this.address = 'Preferred';
    this.#set(windowsTarget.address, 'set');
  }

  get #isAdministrator(): boolean {
    return this.user !== 'ContainerUser';
  }

  #run(command: string): string {
    this.commands.push(command);
    if (command === 'echo %USERNAME%') return `${this.user}\r\n`;
    if (command.startsWith('echo ')) return `${command.slice('echo '.length)}\r\n`;
    if (command.startsWith('netsh ')) return this.hasNetsh ? this.#netsh(command) : 'not recognized\r\n';
    if (command === 'sc query iphlpsvc') return this.#queryService();
    if (/^(sc config|net stop|net start)/.test(command)) return this.#controlService(command);
    if (command === 'netstat -ano -p tcp') return this.#netstat();
    if (command.startsWith('curl.exe ')) return this.#curl(command.split('/')[2]!);
    throw new Error(`nothing is known about ${command}`);
  }

  #netsh(command: string): string {
    if (command === 'netsh interface ipv4 show ipaddresses') return this.#showAddresses();
    if (command === 'netsh interface portproxy show v4tov4') return this.#showRules();
    const refusal = 'The requested operation requires elevation (Run as administrator).\r\n';
    if (!this.#isAdministrator) return refusal;
    const [, , context, verb] = command.split(' ');
    const addressed = command.includes(` ${this.interfaceIndex} ${IMDS_ADDRESS} `);
    if (context === 'ipv4' && verb === 'add' && addressed) this.address = this.addressStates[0];
    if (context === 'ipv4' && verb === 'delete') {
      this.address = undefined;
      this.interfaceIndex = INTERFACE_INDEX;
    }
    if (context === 'portproxy') this.#changeRule(verb ?? '', /connectaddress=(\S+)/.exec(command)?.[1]);
    return '\r\n';
  }

  #changeRule(verb: string, target: string | undefined): void {
    if (!this.hasPortProxy) return;
    if (verb === 'delete') this.rule = undefined;
    else this.#set(target!, verb === 'set' ? 'set' : 'replace');
  }

  #set(target: string, remedy: 'set' | 'replace'): void {
    this.rule = `${IMDS_ADDRESS} 80          ${target.padEnd(15)} 80`;
    if (this.works === 'set' || this.works === remedy) this.forwardsTo = target;
  }

  #controlService(command: string): string {
    if (!this.#isAdministrator) return 'System error 5 has occurred.\r\n';
    if (command.startsWith('net stop')) this.service = 'stopped';
    if (command.startsWith('net start') && this.service === 'stopped') {
      this.service = 'running';
      if (this.works !== 'never') this.forwardsTo = this.rule?.split(/\s+/)[2];
    }
    return '\r\n';
  }

  #queryService(): string {
    if (this.service === 'absent') return '[SC] EnumQueryServicesStatus:OpenService FAILED 1060:\r\n\r\n';
    const state = this.service === 'running' ? '4  RUNNING' : '1  STOPPED';
    return [
      '',
      'SERVICE_NAME: iphlpsvc',
      '        TYPE               : 30  WIN32',
      `        STATE              : ${state}`,
      '                                (STOPPABLE, NOT_PAUSABLE, ACCEPTS_SHUTDOWN)',
      '        WIN32_EXIT_CODE    : 0  (0x0)',
      '        CHECKPOINT         : 0x0',
      '',
    ].join('\r\n');
  }

  #showAddresses(): string {
    const { language, address } = this;
    const row = (state: string, text: string) => `Manual     ${state.padEnd(13)} infinite   infinite ${text}`;
    const head = (index: number, name: string) => [
      '',
      `${language.interface} ${index}: ${name}`,
      '',
      language.addressHeadings,
      '---------  ----------- ---------- ---------- ------------------------',
    ];
    const own = [row(language.states.Preferred, CLIENT_ADDRESS)];
    const imds = address === undefined ? [] : [row(language.states[address], IMDS_ADDRESS)];
    if (address !== undefined && this.addressStates.length > 1) {
      this.addressStates.shift();
      this.address = this.addressStates[0];
    }
    const onLoopback = this.interfaceIndex === 1;
    return [
      ...head(1, 'Loopback Pseudo-Interface 1'),
      row(language.states.Preferred, '127.0.0.1'),
      ...(onLoopback ? imds : []),
      ...head(INTERFACE_INDEX, 'vEthernet (Ethernet) 2'),
      ...own,
      ...(onLoopback ? [] : imds),
      '',
    ].join('\r\n');
  }

  #showRules(): string {
    const rows = [...this.others, ...(this.rule === undefined ? [] : [this.rule])];
    const line = '--------------- ----------  --------------- ----------';
    return ['', ...this.language.ruleHeadings, line, ...rows, '', ''].join('\r\n');
  }

  #netstat(): string {
    const listens = this.#forwarded !== undefined;
    return [
      '',
      'Active Connections',
      '',
      '  Proto  Local Address          Foreign Address        State           PID',
      ...(listens
        ? [`  TCP    ${IMDS_ADDRESS}:80   0.0.0.0:0              ${this.language.listening}       1476`]
        : []),
      `  TCP    ${CLIENT_ADDRESS}:49710    ${windowsTarget.address}:80       TIME_WAIT       0`,
      '',
    ].join('\r\n');
  }

  #curl(host: string): string {
    const target = host.startsWith(IMDS_ADDRESS) ? this.#forwarded : host.split(':')[0];
    return target === windowsTarget.address && this.proxyReachable ? ANSWER : '';
  }

  get #forwarded(): string | undefined {
    const forwards = this.service === 'running' && this.rule !== undefined && this.address === 'Preferred';
    return forwards ? this.forwardsTo : undefined;
  }
}
