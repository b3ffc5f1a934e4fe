import { LANGUAGES, type Language } from './language.ts';

/** From which remedy on a new target of a rule takes effect (protocol.md 4.2 has contradicting reports). */
export const RETARGET_REMEDIES = ['set', 'replace', 'restart'] as const;
export type RetargetRemedy = (typeof RETARGET_REMEDIES)[number];

export const SERVICE_STATES = ['running', 'stopped', 'disabled', 'absent'] as const;
export type InitialServiceState = (typeof SERVICE_STATES)[number];

/** What differs between Windows containers, by environment variables of the container. */
export interface Switches {
  /** `WINDOWS_SIM_LANGUAGE`: of headings and messages. */
  readonly language: Language;
  /** `WINDOWS_SIM_DAD=always`: probes are sent although the interface's DadTransmits is 0. */
  readonly dad: 'obeyed' | 'always';
  /** `WINDOWS_SIM_IPHLPSVC`: of the service IP Helper when the container starts. */
  readonly iphlpsvc: InitialServiceState;
  /** `WINDOWS_SIM_RETARGET` */
  readonly retarget: RetargetRemedy;
  /** `WINDOWS_SIM_RIGHTS=user`: whoever runs a command has the rights and the name of ContainerUser. */
  readonly rights: 'administrator' | 'user';
  /** `WINDOWS_SIM_EXEC_DELAY_MS`: how long every program takes to start. */
  readonly execDelayMillis: number;
  /** `WINDOWS_SIM_MISSING`: programs that the image lacks, comma-separated; nanoserver lacks `powershell`. */
  readonly missing: readonly string[];
  /** `WINDOWS_SIM_LEAKED_ADDRESS`: an address that another container left in the persistent store. */
  readonly leakedAddress: string | undefined;
}

const PREFIX = 'WINDOWS_SIM_';

/** Reads the switches; an unknown one or an unknown value throws. */
export function readSwitches(env: Readonly<Record<string, string | undefined>>): Switches {
  const values = new Map(
    Object.entries(env).flatMap(([name, value = '']) =>
      name.startsWith(PREFIX) ? [[name.slice(PREFIX.length), value] as const] : [],
    ),
  );
  const take = (name: string) => {
    const value = values.get(name);
    values.delete(name);
    return value;
  };
  const choice = <T extends string>(name: string, choices: readonly T[]): T => {
    const value = take(name) ?? choices[0]!;
    const found = choices.find(known => known === value);
    if (found === undefined) throw new Error(`${PREFIX}${name}: "${value}" is none of ${choices.join(', ')}`);
    return found;
  };
  const delay = take('EXEC_DELAY_MS') ?? '0';
  if (!/^\d+$/.test(delay)) throw new Error(`${PREFIX}EXEC_DELAY_MS: "${delay}" is no number`);
  const switches: Switches = {
    language: choice('LANGUAGE', LANGUAGES),
    dad: choice('DAD', ['obeyed', 'always']),
    iphlpsvc: choice('IPHLPSVC', SERVICE_STATES),
    retarget: choice('RETARGET', RETARGET_REMEDIES),
    rights: choice('RIGHTS', ['administrator', 'user']),
    execDelayMillis: Number(delay),
    missing: (take('MISSING') ?? '').split(',').filter(name => name !== ''),
    leakedAddress: take('LEAKED_ADDRESS'),
  };
  const [unknown] = values.keys();
  if (unknown !== undefined) throw new Error(`${PREFIX}${unknown} is no switch`);
  return switches;
}
