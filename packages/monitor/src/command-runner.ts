export {
  localCommandRunner,
  type CommandOptions,
  type CommandResult,
  type CommandRunner,
} from '@msi-proxy/shared';
