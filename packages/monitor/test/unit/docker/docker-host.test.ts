import assert from 'node:assert/strict';
import { silentLogger, type MsiProxyError } from '@msi-proxy/shared';
import { negotiateApiVersion } from '../../../src/docker/api-version.ts';
import { createEngineClient, parseDockerHost } from '../../../src/docker/index.ts';

describe('DOCKER_HOST', () => {
  for (const [text, expected] of [
    ['unix:///var/run/docker.sock', { kind: 'socket', path: '/var/run/docker.sock' }],
    ['npipe:////./pipe/docker_engine', { kind: 'socket', path: '//./pipe/docker_engine' }],
    ['tcp://10.0.0.1:2375', { kind: 'tcp', host: '10.0.0.1', port: 2375 }],
    ['tcp://[::1]:2375', { kind: 'tcp', host: '::1', port: 2375 }],
  ] as const) {
    it(`may be ${text}`, () => {
      assert.deepEqual(parseDockerHost(text), expected);
    });
  }

  for (const text of [
    '',
    'unix://',
    'unix:///',
    'unix://var/run/docker.sock',
    '/var/run/docker.sock',
    'ssh://host',
    'tcp://host',
    'tcp://host:0',
    'tcp://host:65536',
    'tcp://host:1/path',
    'npipe:////./pipe/a/b',
    'http://host:2375',
  ]) {
    it(`may not be "${text}", and the message says what may be`, () => {
      assert.throws(() => createEngineClient({ dockerHost: text, logger: silentLogger }), {
        code: 'MSI_SETTINGS_INVALID',
        message: `DOCKER_HOST is "${text}": expected unix:///path, tcp://host:port or npipe:////./pipe/name`,
      });
    });
  }
});

describe('an engine at a named pipe of Windows', () => {
  it('is asked at the pipe that is named', async () => {
    const host = 'npipe:////./pipe/msi-proxy-test';
    const engine = createEngineClient({ dockerHost: host, logger: silentLogger });
    // There are no such pipes here; the address that was tried tells.
    await assert.rejects(engine.ping(), (error: MsiProxyError) => {
      assert.equal(error.code, 'MSI_ENGINE_UNREACHABLE');
      assert.match(error.message, /^DOCKER_HOST is "npipe:.*expected the pipe of a running Docker engine/);
      assert.equal((error.cause as { address?: string }).address, '//./pipe/msi-proxy-test');
      return true;
    });
  });
});

describe('API version', () => {
  for (const [offered, spoken] of [
    ['1.41', '1.41'],
    ['1.51', '1.51'],
    ['1.52', '1.52'],
    ['1.60', '1.52'],
    ['1.100', '1.52'],
    ['2.0', '1.52'],
  ] as const) {
    it(`is ${spoken} with an engine that offers ${offered}`, () => {
      assert.equal(negotiateApiVersion('x', offered, 'unix:///s'), spoken);
    });
  }

  for (const offered of ['1.24', '1.40', '1.9', '', 'latest', '1.41.0']) {
    it(`is refused when the engine offers "${offered}"`, () => {
      assert.throws(() => negotiateApiVersion('17.03', offered, 'unix:///s'), { code: 'MSI_ENGINE_TOO_OLD' });
    });
  }
});
