import {
  choiceSetting,
  formatHostPort,
  hostPortSetting,
  integerSetting,
  parseHostPort,
  textSetting,
  type Configuration,
  type HostPort,
  type SettingsOf,
} from '@msi-proxy/shared';

export const EMULATOR_SETTINGS = {
  listen: hostPortSetting({
    env: 'IMDS_EMULATOR_LISTEN',
    description: 'Address of the emulated IMDS.',
    defaultValue: { host: '127.0.0.1', port: 8169 },
  }),
  controlListen: hostPortSetting({
    env: 'IMDS_EMULATOR_CONTROL_LISTEN',
    description: 'Address of the control API: recorded requests, faults, the VM.',
    defaultValue: { host: '127.0.0.1', port: 8170 },
  }),
  vmExtensionListen: textSetting<HostPort | undefined>({
    env: 'IMDS_EMULATOR_VM_EXTENSION_LISTEN',
    description: "Address of the emulated VM extension, IMDS's predecessor; Azure's is at 127.0.0.1:50342.",
    defaultValue: undefined,
    expectation: 'host:port, such as "127.0.0.1:50342"',
    parse: parseHostPort,
    format: address => (address === undefined ? '' : formatHostPort(address)),
  }),
  vmFile: textSetting({
    env: 'IMDS_EMULATOR_VM',
    description: 'JSON file that describes the VM. Without it, a VM with three identities is emulated.',
    defaultValue: '',
    expectation: 'the path of a JSON file',
    parse: path => path,
  }),
  rateLimits: choiceSetting({
    env: 'IMDS_EMULATOR_RATE_LIMITS',
    description:
      "Whether Azure's limits apply: 5 requests a second; for identities 20 a second and 5 at a time.",
    defaultValue: 'off',
    choices: ['on', 'off'],
  }),
  tokenLifetimeSeconds: integerSetting({
    env: 'IMDS_EMULATOR_TOKEN_LIFETIME_SECONDS',
    description: "Lifetime of a new token. Azure's is 24 hours; a short one shows how a program renews.",
    defaultValue: 86_400,
    min: 1,
    max: 86_400,
    unit: 'seconds',
  }),
  scheduledEventsEnableMillis: integerSetting({
    env: 'IMDS_EMULATOR_SCHEDULED_EVENTS_ENABLE_MILLIS',
    description: 'How long the first request for scheduled events takes; in Azure up to two minutes.',
    defaultValue: 0,
    min: 0,
    max: 150_000,
    unit: 'milliseconds',
  }),
  logLevel: choiceSetting({
    env: 'IMDS_EMULATOR_LOG_LEVEL',
    reloadable: true,
    description: 'Lowest level that is logged. Requests are logged at "info", without their query.',
    defaultValue: 'info',
    choices: ['error', 'warn', 'info', 'debug'],
  }),
} as const;

/** Of the emulator: its settings, and what they are called in other places than the environment. */
export const EMULATOR_CONFIGURATION = {
  settings: EMULATOR_SETTINGS,
  prefix: 'IMDS_EMULATOR_',
  fileName: 'imds-emulator.yaml',
} satisfies Configuration;

export type EmulatorSettings = SettingsOf<typeof EMULATOR_SETTINGS>;
