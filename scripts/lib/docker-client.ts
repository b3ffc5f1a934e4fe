import { mustRun, runCommand, type Docker } from '../../test/lab/index.ts';

const BUILD_TIMEOUT_MILLIS = 15 * 60_000;

/**
 * The Docker client with the engine of DOCKER_HOST (or the client's own default).
 *
 * @throws {Error} when no engine answers there
 */
export async function dockerClient(): Promise<Docker> {
  const probe = await runCommand(['docker', 'version', '--format', '{{.Server.Version}}']);
  if (probe.exitCode !== 0) {
    throw new Error(`no Docker engine answers at ${dockerHost()} (DOCKER_HOST): ${probe.stderr.trim()}`);
  }
  // Without its plug-in, BuildKit is an error where DOCKER_BUILDKIT=1 is set; the builder in the engine will do.
  const buildx = await runCommand(['docker', 'buildx', 'version']);
  const env = buildx.exitCode === 0 ? process.env : { ...process.env, DOCKER_BUILDKIT: '0' };
  return args => mustRun(['docker', ...args], { env, timeoutMillis: BUILD_TIMEOUT_MILLIS });
}

/** Where the engine is, for messages. */
export function dockerHost(): string {
  return process.env['DOCKER_HOST'] ?? "the Docker client's default address";
}

/** Whether an engine answers at DOCKER_HOST; not where that is not set, so that nothing is done to an engine by chance. */
export async function engineAnswers(): Promise<boolean> {
  if ((process.env['DOCKER_HOST'] ?? '') === '') return false;
  try {
    const probe = await runCommand(['docker', 'version', '--format', '{{.Server.Os}}'], {
      timeoutMillis: 10_000,
    });
    return probe.exitCode === 0;
  } catch {
    // No Docker client on this machine.
    return false;
  }
}
