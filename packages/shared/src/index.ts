export {
  localCommandRunner,
  type CommandOptions,
  type CommandResult,
  type CommandRunner,
  type FollowOptions,
  type PreparedCommand,
} from './command/command-runner.ts';
export { systemClock, type Clock, type Timer } from './clock.ts';
export { pause } from './pause.ts';
export {
  MessageDecoder,
  encodeMessage,
  MONITOR_MESSAGE_TYPES,
  PROXY_MESSAGE_TYPES,
} from './control/line-codec.ts';
export {
  CONTROL_PROTOCOL,
  HEARTBEAT_INTERVAL_MILLIS,
  HEARTBEAT_TIMEOUT_MILLIS,
  MAX_CONTROL_LINE_BYTES,
  MAX_GIVEN_TOKENS,
  SILENCE_MILLIS,
  type Ack,
  type Caller,
  type CallerReport,
  type Callers,
  type Confirm,
  type Confirmed,
  type Delta,
  type FlushTokens,
  type GivenToken,
  type Grant,
  type Heartbeat,
  type Hello,
  type ListCallers,
  type ListTokens,
  type MonitorMessage,
  type ProxyMessage,
  type Refusal,
  type Report,
  type Role,
  type RouteSet,
  type SetRoute,
  type Snapshot,
  type TokenSummary,
  type Tokens,
  type TokensFlushed,
  type Welcome,
  type Witness,
} from './control/messages.ts';
export {
  newWitnessKey,
  WITNESS_HEADER,
  WITNESS_PATH,
  WitnessQuestion,
  type WitnessedRun,
} from './control/witness.ts';
export { ERROR_CODES, type ErrorCode } from './errors/codes.ts';
export { EXIT_CONFIG, EXIT_FAILURE, EXIT_OK, EXIT_USAGE, EXIT_WARNING } from './errors/exit-codes.ts';
export { codeOf, messageOf, MsiProxyError, type ErrorContext } from './errors/msi-proxy-error.ts';
export {
  IMDS_ADDRESS,
  IMDS_PORT,
  INSTANCE_HEADER,
  READY_PATH,
  TOKEN_PATH,
  VM_EXTENSION_PATH,
  WIRESERVER_ADDRESS,
  WIRESERVER_TCP_PORTS,
} from './imds.ts';
export {
  CLIENT_LABEL,
  ENDPOINTS_LABEL,
  hasClientLabel,
  hasProxyLabel,
  IDENTITIES_LABEL,
  IDENTITY_LABEL,
  POLICY_LABEL_PREFIX,
  POLICY_LABELS,
  PROXY_LABEL,
  RESOURCES_LABEL,
  type Labels,
  type PolicyLabel,
} from './labels.ts';
export { LAST_LINES_MILLIS } from './logging/line-writer.ts';
export { controlLogLevel, type LogLevelControl } from './logging/log-level.ts';
export {
  createLogger,
  LOG_LEVELS,
  silentLogger,
  type LogFields,
  type Logger,
  type LoggerOptions,
  type LogLevel,
} from './logging/logger.ts';
export { watchedLogger } from './logging/watched-logger.ts';
export { redactText, redactValue } from './logging/redact.ts';
export {
  parseClientPolicy,
  type ClientPolicy,
  type PolicyOptions,
  type PolicyResult,
} from './policy/client-policy.ts';
export {
  DEFAULT_ENDPOINT_GROUPS,
  ENDPOINT_GROUPS,
  isEndpointGroup,
  type EndpointGroup,
} from './policy/endpoints.ts';
export {
  formatIdentity,
  isGuid,
  isIdentityResourceId,
  parseIdentity,
  sameIdentity,
  type IdentityRef,
} from './policy/identity.ts';
export { intersectPolicies } from './policy/intersect.ts';
export { formatLabelProblem, printable, type LabelProblem } from './policy/problem.ts';
export {
  canonicalResource,
  formatResourcePattern,
  matchesResource,
  parseResourcePattern,
  type ResourcePattern,
} from './policy/resources.ts';
export { summarizePolicy } from './policy/summary.ts';
export {
  permitsIdentity,
  permitsResource,
  tokenVerdict,
  type TokenVerdict,
  type TokenWish,
} from './policy/token-verdict.ts';
export {
  defaultSettingsFile,
  settingNames,
  settingsFileSetting,
  type Configuration,
  type SettingNames,
} from './settings/configuration.ts';
export {
  loadSettings,
  type LoadedSettings,
  type SettingFlags,
  type SettingsPlaces,
} from './settings/load-settings.ts';
export {
  effectiveSettings,
  readSettings,
  unknownSettings,
  type Environment,
  type SettingsOf,
  type SettingsTable,
} from './settings/read-settings.ts';
export { ReloadRequests } from './settings/reload-requests.ts';
export { settingsReload, type SettingsReloadOptions } from './settings/reload-settings.ts';
export { formatOrigin, type SettingOrigin } from './settings/setting-origin.ts';
export { SettingsError, type SettingProblem } from './settings/setting-problem.ts';
export { settingsMarkdown } from './settings/settings-markdown.ts';
export { unseenFlags, type UnseenFlagsOptions } from './settings/unseen-flags.ts';
export {
  booleanSetting,
  choiceSetting,
  formatHostPort,
  hostPortSetting,
  integerSetting,
  parseHostPort,
  textSetting,
  type HostPort,
  type Setting,
} from './settings/setting.ts';
export type {
  ClientState,
  ClientStatus,
  ClientTraffic,
  EngineStatus,
  GuardStatus,
  StoppedSource,
  TokenStatus,
  MonitorStatus,
  PolicySummary,
  ProxyState,
  ProxyStatus,
  StatusEvent,
  WiringMethodName,
} from './status/status.ts';
export type { ProxyCheck, Sight } from './status/proxy-check.ts';
