import {
  booleanSetting,
  choiceSetting,
  hostPortSetting,
  IMDS_ADDRESS,
  IMDS_PORT,
  integerSetting,
  LOG_LEVELS,
  textSetting,
  type Configuration,
  type SettingsOf,
} from '@msi-proxy/shared';

/** All settings of the proxy; parsing, flags, `--help` and docs/settings.md come from here. */
export const PROXY_SETTINGS = {
  listen: hostPortSetting({
    env: 'MSI_PROXY_LISTEN',
    description: 'Where containers are served. Clients always ask port 80; the wiring translates.',
    defaultValue: { host: '0.0.0.0', port: 80 },
  }),
  imdsAddress: hostPortSetting({
    env: 'MSI_PROXY_IMDS_ADDRESS',
    description: 'Where IMDS is. Something else than the default is an emulator.',
    defaultValue: { host: IMDS_ADDRESS, port: IMDS_PORT },
  }),
  upstream: choiceSetting({
    env: 'MSI_PROXY_UPSTREAM',
    description:
      'Where tokens come from: `imds`, or `vm-extension`, the older MSI VM extension. Everything else comes from IMDS, or is answered 404 where there is none.',
    defaultValue: 'imds',
    choices: ['imds', 'vm-extension'],
  }),
  vmExtensionAddress: hostPortSetting({
    env: 'MSI_PROXY_VM_EXTENSION_ADDRESS',
    description:
      'Where the VM extension is. It listens on the loopback of the VM, which only a proxy on the network of the VM reaches.',
    defaultValue: { host: '127.0.0.1', port: 50_342 },
  }),
  route: choiceSetting({
    env: 'MSI_PROXY_ROUTE',
    description: 'Whether to add the route to IMDS at start: `auto`, or `off` where it is not needed.',
    defaultValue: 'auto',
    choices: ['auto', 'off'],
  }),
  user: textSetting<number | 'root'>({
    env: 'MSI_PROXY_USER',
    description: 'User id to change to after start; `root` keeps the rights, for debugging only.',
    defaultValue: 65_532,
    expectation: 'a user id from 1 to 4294967293, or "root"',
    parse: text => {
      if (text === 'root') return 'root';
      const id = /^\d{1,10}$/.test(text) ? Number(text) : 0;
      return id >= 1 && id <= 4_294_967_293 ? id : undefined;
    },
  }),
  controlSocket: textSetting({
    env: 'MSI_PROXY_CONTROL_SOCKET',
    description:
      'Unix socket between the server and `msi-proxy control`; on Windows a named pipe such as `//./pipe/msi-proxy`.',
    defaultValue: '/run/msi-proxy/control.sock',
    expectation: 'an absolute path or //./pipe/name, of at most 100 characters',
    parse: text => (text.startsWith('/') && text.length <= 100 ? text : undefined),
  }),
  requireIdentity: booleanSetting({
    env: 'MSI_PROXY_REQUIRE_IDENTITY',
    description: 'Refuse clients whose labels name no identity, instead of letting them use any of the VM.',
    defaultValue: false,
  }),
  callerWaitMillis: integerSetting({
    env: 'MSI_PROXY_CALLER_WAIT_MS',
    reloadable: true,
    description: 'How long a request from an address that nobody has named yet waits for the monitor.',
    defaultValue: 1_000,
    min: 0,
    max: 30_000,
    unit: 'milliseconds',
  }),
  confirmAfterMillis: integerSetting({
    env: 'MSI_PROXY_CONFIRM_AFTER_MS',
    reloadable: true,
    description: 'Age at which the owner of an address must be confirmed again before it is served.',
    // Docker needs longer than this to end a container and start another one at its address.
    defaultValue: 100,
    min: 0,
    max: 60_000,
    unit: 'milliseconds',
  }),
  holdMillis: integerSetting({
    env: 'MSI_PROXY_HOLD_MS',
    reloadable: true,
    description:
      'How long a request is held while no monitor can confirm its caller; then it is answered 503.',
    // As long as the monitor holds what is asked while there is no proxy. All SDKs that were measured wait 38 s.
    defaultValue: 30_000,
    min: 0,
    max: 60_000,
    unit: 'milliseconds',
  }),
  silenceGraceMillis: integerSetting({
    env: 'MSI_PROXY_SILENCE_GRACE_MS',
    reloadable: true,
    description:
      'While the Docker engine does not answer and nobody can vouch for a caller: for how long after its last confirmation an address is still served. Only 0 is safe: an engine that is slow, not hung, may have given the address to another container.',
    defaultValue: 0,
    min: 0,
    max: 600_000,
    unit: 'milliseconds',
  }),
  policy: choiceSetting({
    env: 'MSI_PROXY_POLICY',
    description:
      'What the policy labels of clients do: `enforce` denies, `audit` lets through and records what would be denied. Containers without the client label are refused either way.',
    defaultValue: 'enforce',
    choices: ['enforce', 'audit'],
  }),
  prefetch: booleanSetting({
    env: 'MSI_PROXY_PREFETCH',
    description:
      'Get tokens ahead for clients whose labels name an identity and whole resources, when nothing else waits.',
    defaultValue: true,
  }),
  identityPerSecond: integerSetting({
    env: 'MSI_PROXY_IDENTITY_RATE',
    description: 'Calls to the identity endpoints of IMDS each second. Azure allows a VM 20.',
    defaultValue: 20,
    min: 1,
    max: 1_000_000,
  }),
  identityConcurrent: integerSetting({
    env: 'MSI_PROXY_IDENTITY_CONCURRENCY',
    description: 'Such calls at once. Azure allows a VM 5, and the proxy never opens more connections.',
    defaultValue: 5,
    min: 1,
    max: 5,
  }),
  generalPerSecond: integerSetting({
    env: 'MSI_PROXY_METADATA_RATE',
    description: 'All other calls to IMDS each second. Azure allows a VM 5.',
    defaultValue: 5,
    min: 1,
    max: 1_000_000,
  }),
  tokenCacheEntries: integerSetting({
    env: 'MSI_PROXY_TOKEN_CACHE_ENTRIES',
    description:
      'Tokens that are kept; the one that was not asked for longest leaves first, of a container that alone holds more than an eighth before those of others.',
    defaultValue: 1_000,
    min: 1,
    max: 100_000,
  }),
  tokenCacheBytes: integerSetting({
    env: 'MSI_PROXY_TOKEN_CACHE_BYTES',
    description: 'Memory for tokens that are kept.',
    defaultValue: 16_777_216,
    min: 65_536,
    max: 1_073_741_824,
    unit: 'bytes',
  }),
  upstreamTimeoutMillis: integerSetting({
    env: 'MSI_PROXY_UPSTREAM_TIMEOUT_MS',
    reloadable: true,
    description: 'How long a request may wait for the answer of IMDS, with its turn and repeats.',
    defaultValue: 10_000,
    min: 100,
    max: 120_000,
    unit: 'milliseconds',
  }),
  scheduledEventsTimeoutMillis: integerSetting({
    env: 'MSI_PROXY_SCHEDULED_EVENTS_TIMEOUT_MS',
    reloadable: true,
    description: 'The same for scheduled events, whose first call may take two minutes.',
    defaultValue: 150_000,
    min: 1_000,
    max: 600_000,
    unit: 'milliseconds',
  }),
  maxResponseBytes: integerSetting({
    env: 'MSI_PROXY_MAX_RESPONSE_BYTES',
    description: 'Largest answer of IMDS that is passed on.',
    defaultValue: 1_048_576,
    min: 1_024,
    max: 16_777_216,
    unit: 'bytes',
  }),
  maxConnections: integerSetting({
    env: 'MSI_PROXY_MAX_CONNECTIONS',
    reloadable: true,
    description:
      'Connections of containers at once; more are closed at once. One container gets half of them at most.',
    defaultValue: 1_024,
    min: 1,
    max: 65_535,
  }),
  drainMillis: integerSetting({
    env: 'MSI_PROXY_DRAIN_MS',
    reloadable: true,
    description:
      'How long requests under way may take to finish after SIGTERM, and how long a proxy that serves waits then for a monitor, if none is there, to send its clients elsewhere.',
    defaultValue: 8_000,
    min: 0,
    max: 300_000,
    unit: 'milliseconds',
  }),
  logLevel: choiceSetting({
    env: 'MSI_PROXY_LOG_LEVEL',
    reloadable: true,
    description: 'How much is logged.',
    defaultValue: 'info',
    choices: LOG_LEVELS,
  }),
};

/** Of the proxy: its settings, and what they are called in other places than the environment. */
export const PROXY_CONFIGURATION = {
  settings: PROXY_SETTINGS,
  prefix: 'MSI_PROXY_',
  fileName: 'proxy.yaml',
} satisfies Configuration;

export type ProxySettings = SettingsOf<typeof PROXY_SETTINGS>;
