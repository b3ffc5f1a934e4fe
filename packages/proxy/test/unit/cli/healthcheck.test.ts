import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { healthcheck } from '../../../src/healthcheck.ts';

async function withServer(
  respond: RequestListener,
  test: (port: number) => Promise<void>,
  host = '127.0.0.1',
): Promise<void> {
  const server = createServer(respond);
  await new Promise<void>(resolve => {
    server.listen(0, host, resolve);
  });
  try {
    await test((server.address() as AddressInfo).port);
  } finally {
    server.closeAllConnections();
    await new Promise(resolve => server.close(resolve));
  }
}

describe('the health check', () => {
  it('asks the ready path of the server in this container, over loopback, and is content with 200', async () => {
    const seen: IncomingMessage[] = [];
    await withServer(
      (request, response) => {
        seen.push(request);
        response.end('{"healthy":true}');
      },
      async port => {
        for (const host of ['0.0.0.0', '::', '127.0.0.1']) assert.equal(await healthcheck({ host, port }), 0);
      },
    );
    assert.deepEqual(
      seen.map(({ url }) => url),
      Array(3).fill('/.msi-proxy/ready'),
    );
  });

  it('asks at the address that the server listens on when it is a certain one', async () => {
    await withServer(
      (_request, response) => response.end(),
      async port => {
        assert.equal(await healthcheck({ host: '127.0.0.9', port }), 0);
        assert.equal(await healthcheck({ host: '0.0.0.0', port }), 1);
      },
      '127.0.0.9',
    );
  });

  it('fails when the server says that it is not well', async () => {
    await withServer(
      (_request, response) => response.writeHead(503).end('{"healthy":false}'),
      async port => assert.equal(await healthcheck({ host: '127.0.0.1', port }), 1),
    );
  });

  it('fails when nobody listens', async () => {
    let free = 0;
    await withServer(
      () => undefined,
      port => {
        free = port;
        return Promise.resolve();
      },
    );
    assert.equal(await healthcheck({ host: '127.0.0.1', port: free }), 1);
  });

  it('fails when the server accepts and says nothing', async () => {
    await withServer(
      () => undefined,
      async port => assert.equal(await healthcheck({ host: '127.0.0.1', port }), 1),
    );
  });

  it('fails when the server ends the connection without an answer', async () => {
    await withServer(
      request => request.socket.destroy(),
      async port => assert.equal(await healthcheck({ host: '127.0.0.1', port }), 1),
    );
  });
});
