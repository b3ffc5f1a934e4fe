import { codeOf, ERROR_CODES, type MsiProxyError } from '@msi-proxy/shared';
import { DEFAULT_DOCKER_HOST, parseDockerHost } from './docker-host.ts';

const DEFAULT_PIPE = 'npipe:////./pipe/docker_engine';

/** What to do about an engine that cannot be used: as the error, DOCKER_HOST and the platform have it. */
export function engineRemedy(error: MsiProxyError, dockerHost: string, platform: string): string {
  const cause = codeOf(error.cause);
  if (error.code === 'MSI_ENGINE_UNREACHABLE' && parseDockerHost(dockerHost)?.kind === 'tcp') {
    return 'Check the address in DOCKER_HOST, and that the engine listens there without TLS (docker info -f "{{.Name}}" with the same DOCKER_HOST).';
  }
  if (error.code === 'MSI_ENGINE_UNREACHABLE' && platform === 'win32' && !dockerHost.startsWith('npipe:')) {
    return `On Windows the engine is at ${DEFAULT_PIPE}: set DOCKER_HOST to that.`;
  }
  if (error.code === 'MSI_ENGINE_UNREACHABLE' && platform !== 'win32' && dockerHost.startsWith('npipe:')) {
    return `Named pipes are Windows’: set DOCKER_HOST to ${DEFAULT_DOCKER_HOST}.`;
  }
  if (cause === 'ENOENT') {
    return platform === 'win32'
      ? 'Start the engine (Start-Service docker), or set DOCKER_HOST to its pipe. In a container, mount it: -v \\\\.\\pipe\\docker_engine:\\\\.\\pipe\\docker_engine.'
      : 'Start the engine (systemctl start docker), or set DOCKER_HOST to its socket; an engine without root has it at unix:///run/user/<id>/docker.sock. In a container, mount the folder of the socket: -v /var/run:/host/run -e DOCKER_HOST=unix:///host/run/docker.sock.';
  }
  if (cause === 'ECONNREFUSED') {
    return 'The socket is left over from an engine that has gone. Start the engine; in a container, mount the folder of the socket, not the socket.';
  }
  return ERROR_CODES[error.code].remedy;
}
