export { COMMON_EXIT_CODES } from './common-exit-codes.ts';
export { commandsMarkdown } from './commands-markdown.ts';
export { nearest } from './nearest.ts';
export { openCommandLine, type CommandLineOptions, type TextOutput } from './open-command-line.ts';
export { wrapText } from './wrap-text.ts';
export {
  choiceValue,
  defineProgram,
  textValue,
  type ArgumentDefinition,
  type CommandDefinition,
  type CommandExample,
  type CompletionSources,
  type ExitCodes,
  type Invocation,
  type OptionDefinition,
  type ProgramDefinition,
  type ValueKind,
} from './program.ts';
