import {
  codeOf,
  type CommandResult,
  type CommandRunner,
  IMDS_ADDRESS,
  IMDS_PORT,
  MsiProxyError,
  READY_PATH,
} from '@msi-proxy/shared';
import { parseProbeOutcome, PROBE_TIMEOUT_MILLIS, readAnswerHead, type ProbeOutcome } from './probe.ts';

/** Asks at the address of IMDS from inside a network namespace. */
export interface NamespaceProbe {
  /**
   * @param runner runs programs of the monitor's in that namespace
   * @throws {MsiProxyError} `MSI_WIRING_COMMAND` when there was no outcome; what the runner throws
   */
  ask(runner: CommandRunner): Promise<ProbeOutcome>;

  /** Starts ahead what {@link ask} runs, where the runner can: half of the time of a request is the start of its program. */
  prepare(runner: CommandRunner): PreparedProbe;
}

export interface PreparedProbe {
  /** Once, as {@link NamespaceProbe.ask}. */
  ask(): Promise<ProbeOutcome>;
  /** For one that was not needed; does nothing to one that has asked. */
  cancel(): void;
}

type Argv = readonly [file: string, ...argv: string[]];

/** The probe's own limit, and the start of a program on a busy machine. */
const COMMAND_TIMEOUT_MILLIS = PROBE_TIMEOUT_MILLIS + 5_000;

/** Waits for what to ask. Prints the head of the answer. */
const CURL_ARGV: Argv = [
  'curl',
  // No settings of whoever runs the monitor; has to be the first.
  '--disable',
  '--silent',
  '--show-error',
  '--noproxy',
  '*',
  '--max-time',
  String(PROBE_TIMEOUT_MILLIS / 1_000),
  '--output',
  '/dev/null',
  '--dump-header',
  '-',
  '--config',
  '-',
];

/** Without the header `Metadata`, so that IMDS itself would refuse it. */
const CURL_INPUT = `url = "http://${IMDS_ADDRESS}:${IMDS_PORT}${READY_PATH}"\n`;

/**
 * With curl, where the monitor has it: a start of Node takes ten times as long and as much of the processor, which decides
 * how many clients can be wired each second.
 *
 * @param ownArgv this program's command `probe`, for where there is no curl
 */
export function createNamespaceProbe(ownArgv: Argv): NamespaceProbe {
  let hasCurl = true;

  const askBy = async (curl: Program, own: Program) => {
    if (hasCurl) {
      try {
        return readOutcome('curl', await curl(CURL_INPUT), readAnswerHead);
      } catch (error) {
        if (codeOf(error) !== 'MSI_WIRING_NO_CAPABILITY') throw error;
        hasCurl = false;
      }
    }
    return readOutcome(ownArgv[0], await own(''), parseProbeOutcome);
  };

  return {
    ask: async runner => await askBy(programOf(runner, CURL_ARGV), programOf(runner, ownArgv)),
    prepare(runner) {
      const [file, ...argv] = CURL_ARGV;
      const prepared = hasCurl ? runner.prepare?.(file, argv) : undefined;
      const curl: Program =
        prepared === undefined ? programOf(runner, CURL_ARGV) : async stdin => await prepared.run(stdin);
      return {
        ask: async () => await askBy(curl, programOf(runner, ownArgv)),
        cancel: () => prepared?.cancel(),
      };
    },
  };
}

type Program = (stdin: string) => Promise<CommandResult>;

function programOf(runner: CommandRunner, [file, ...argv]: Argv): Program {
  return async stdin => await runner.run(file, argv, { stdin, timeoutMillis: COMMAND_TIMEOUT_MILLIS });
}

function readOutcome(
  file: string,
  { exitCode, stdout, stderr }: CommandResult,
  read: (stdout: string) => ProbeOutcome | undefined,
): ProbeOutcome {
  const outcome = read(stdout);
  if (outcome !== undefined) return outcome;
  const failure = failureOfCurl(stderr);
  if (failure !== undefined) return { failure };
  throw new MsiProxyError('MSI_WIRING_COMMAND', `The probe ended with exit code ${exitCode}`, {
    details: { command: file, stderr: stderr.slice(0, 2_000) },
  });
}

/** `curl: (7) Failed to connect to 169.254.169.254 port 80 after 0 ms: Couldn't connect to server`, without its name. */
function failureOfCurl(stderr: string): string | undefined {
  return /^curl: \(\d+\) (.{1,200})/m.exec(stderr)?.[1];
}
