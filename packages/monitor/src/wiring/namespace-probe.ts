import {
  codeOf,
  type CommandRunner,
  IMDS_ADDRESS,
  IMDS_PORT,
  MsiProxyError,
  READY_PATH,
} from '@msi-proxy/shared';
import { parseProbeOutcome, PROBE_TIMEOUT_MILLIS, readAnswerHead, type ProbeOutcome } from './probe.ts';

/**
 * Asks at the address of IMDS from inside a network namespace.
 *
 * @param runner runs programs of the monitor's in that namespace
 * @throws {MsiProxyError} `MSI_WIRING_COMMAND` when there was no outcome; what the runner throws
 */
export type NamespaceProbe = (runner: CommandRunner) => Promise<ProbeOutcome>;

type Argv = readonly [file: string, ...argv: string[]];

/** The probe's own limit, and the start of a program on a busy machine. */
const COMMAND_TIMEOUT_MILLIS = PROBE_TIMEOUT_MILLIS + 5_000;

/** Without the header `Metadata`, so that IMDS itself would refuse it. Prints the head of the answer. */
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
  `http://${IMDS_ADDRESS}:${IMDS_PORT}${READY_PATH}`,
];

/**
 * With curl, where the monitor has it: a start of Node takes ten times as long and as much of the processor, which decides
 * how many clients can be wired each second.
 *
 * @param ownArgv this program's command `probe`, for where there is no curl
 */
export function createNamespaceProbe(ownArgv: Argv): NamespaceProbe {
  let hasCurl = true;
  return async runner => {
    if (hasCurl) {
      try {
        return await probeBy(runner, CURL_ARGV, readAnswerHead);
      } catch (error) {
        if (codeOf(error) !== 'MSI_WIRING_NO_CAPABILITY') throw error;
        hasCurl = false;
      }
    }
    return await probeBy(runner, ownArgv, parseProbeOutcome);
  };
}

async function probeBy(
  runner: CommandRunner,
  [file, ...argv]: Argv,
  read: (stdout: string) => ProbeOutcome | undefined,
): Promise<ProbeOutcome> {
  const { exitCode, stdout, stderr } = await runner.run(file, argv, {
    timeoutMillis: COMMAND_TIMEOUT_MILLIS,
  });
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
