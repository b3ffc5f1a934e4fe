import { NotSimulated, type ProgramContext, type ProgramOutput } from '../commands/program.ts';
import { runScript } from './interpreter.ts';

/** Switches with their value; those with a value are followed by it (learn.microsoft.com, "about_PowerShell_exe"). */
const SWITCHES = ['-nologo', '-noprofile', '-noninteractive'];
const VALUES: Readonly<Record<string, readonly string[]>> = {
  '-executionpolicy': ['bypass', 'unrestricted', 'remotesigned'],
  '-outputformat': ['text'],
};

/** A command line of Windows ends after 32,767 characters (learn.microsoft.com, "CreateProcess"). */
const MAX_COMMAND_LINE = 32_767;

/** `powershell -NoProfile -NonInteractive … -EncodedCommand <base64>`. */
export async function powershell(argv: readonly string[], context: ProgramContext): Promise<ProgramOutput> {
  if (['powershell', ...argv].join(' ').length >= MAX_COMMAND_LINE) {
    throw new NotSimulated(`a command line of more than ${MAX_COMMAND_LINE} characters`);
  }
  const seen = new Set<string>();
  let encoded: string | undefined;
  for (let at = 0; at < argv.length; at += 1) {
    const option = argv[at]!.toLowerCase();
    seen.add(option);
    if (SWITCHES.includes(option)) continue;
    at += 1;
    const value = argv[at];
    if (option === '-encodedcommand' && at === argv.length - 1) encoded = value;
    else if (VALUES[option]?.includes(value?.toLowerCase() ?? '') !== true) {
      throw new NotSimulated(`powershell ${argv.slice(at - 1, at + 1).join(' ')}`);
    }
  }
  if (encoded === undefined || !seen.has('-noprofile') || !seen.has('-noninteractive')) {
    throw new NotSimulated('powershell without -NoProfile, -NonInteractive and -EncodedCommand');
  }
  const bytes = Buffer.from(encoded, 'base64');
  if (bytes.toString('base64') !== encoded || bytes.length % 2 !== 0) {
    return {
      exitCode: 1,
      stdout: '',
      stderr: 'Cannot process the command: the encoded command is not valid.\n',
    };
  }
  return await runScript(bytes.toString('utf16le'), context);
}
