import assert from 'node:assert/strict';
import { MsiProxyError, type ErrorCode } from '@msi-proxy/shared';
import { engineRemedy } from '../../../src/docker/index.ts';

const SOCKET = 'unix:///var/run/docker.sock';
const PIPE = 'npipe:////./pipe/docker_engine';

function remedy(
  cause: string,
  host = SOCKET,
  platform = 'linux',
  code: ErrorCode = 'MSI_ENGINE_UNREACHABLE',
): string {
  const error = new MsiProxyError(code, '', { cause: Object.assign(new Error(cause), { code: cause }) });
  return engineRemedy(error, host, platform);
}

describe('the remedy for an engine that cannot be used', () => {
  it('is to start it or to mount the folder of its socket, where the socket is missing', () => {
    assert.match(remedy('ENOENT'), /systemctl start docker.*mount the folder/);
  });

  it('is to mount the folder, where the socket is an old one', () => {
    assert.match(remedy('ECONNREFUSED'), /left over.*not the socket/);
  });

  it('is the pipe, on Windows', () => {
    assert.match(remedy('ENOENT', PIPE, 'win32'), /Start-Service docker.*\\\\\.\\pipe\\docker_engine/);
    assert.match(remedy('ENOENT', SOCKET, 'win32'), /set DOCKER_HOST to that/);
    assert.match(remedy('ENOENT', PIPE, 'linux'), /Named pipes are Windows’/);
  });

  it('is the address, over TCP', () => {
    assert.match(remedy('ECONNREFUSED', 'tcp://10.0.0.1:2375'), /address in DOCKER_HOST.*without TLS/);
  });

  it('is that of the error otherwise', () => {
    assert.match(
      remedy('EACCES', SOCKET, 'linux', 'MSI_ENGINE_FORBIDDEN'),
      /as root or as a member of the group/,
    );
    assert.match(remedy('', SOCKET, 'linux', 'MSI_ENGINE_UNRESPONSIVE'), /load of the machine/);
  });
});
