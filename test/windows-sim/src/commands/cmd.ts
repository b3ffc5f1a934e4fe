import { failed, NotSimulated, printed, type ProgramContext, type ProgramOutput } from './program.ts';

/** What has a meaning in a command line; only `&` and `%NAME%` are simulated. */
const SPECIAL = /["|<>^()!]/;
const NOT_FOUND = 9009;

/** `cmd /d /s /c "<commands joined by &>"`. */
export async function cmd(argv: readonly string[], context: ProgramContext): Promise<ProgramOutput> {
  const [line, ...rest] = argv.slice(3);
  if (argv.slice(0, 3).join(' ').toLowerCase() !== '/d /s /c' || line === undefined || rest.length > 0) {
    throw new NotSimulated(`cmd ${argv.join(' ')}`);
  }
  if (SPECIAL.test(line) || line.includes('&&')) throw new NotSimulated(`cmd's way to read: ${line}`);
  let all = printed();
  for (const command of line.split('&')) {
    const { exitCode, stdout, stderr } = await runOne(expanded(command, context).trim(), context);
    all = { exitCode, stdout: all.stdout + stdout, stderr: all.stderr + stderr };
  }
  return all;
}

async function runOne(command: string, context: ProgramContext): Promise<ProgramOutput> {
  const [name = '', ...argv] = command.split(/\s+/);
  if (name.toLowerCase() === 'echo') return printed(command.slice('echo '.length));
  const output = await context.run(name, argv);
  if (output !== undefined) return output;
  const lines = context.machine.say('unknownProgram', name).split('\n');
  return { ...failed(NOT_FOUND), stderr: lines.map(text => `${text}\n`).join('') };
}

function expanded(command: string, { user }: ProgramContext): string {
  return command.replaceAll(/%([^%]*)%/g, (_match, name: string) => {
    if (name.toLowerCase() === 'username') return user;
    throw new NotSimulated(`the environment variable ${name}`);
  });
}
