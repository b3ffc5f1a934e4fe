// What Azure's host answers for a VM, inside the network namespace of the IMDS side: a byte tap in front of the
// emulator at IMDS's address, and a stand-in for WireServer. A Unix socket tells the tests what arrived, and leads to the
// emulator's control port.
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http';
import { parseArgs } from 'node:util';
import { IMDS_ADDRESS, IMDS_PORT, WIRESERVER_ADDRESS, WIRESERVER_TCP_PORTS } from '@msi-proxy/shared';
import { ByteTap } from './byte-tap.ts';

const { values } = parseArgs({
  options: {
    socket: { type: 'string' },
    'emulator-port': { type: 'string' },
    'control-port': { type: 'string' },
  },
});
const loopback = '127.0.0.1';
const tap = new ByteTap({ host: loopback, port: Number(values['emulator-port']) });
let wireServerRequests = 0;

await tap.listen(IMDS_ADDRESS, IMDS_PORT);
for (const port of WIRESERVER_TCP_PORTS) {
  const wireServer = createServer((_request, response) => {
    wireServerRequests += 1;
    response.end('wireserver');
  });
  await new Promise<void>(resolve => wireServer.listen(port, WIRESERVER_ADDRESS, resolve));
}
// Last: whoever sees the socket may count on the rest.
createServer(answerControl).listen(values.socket);

function answerControl(incoming: IncomingMessage, response: ServerResponse): void {
  const { method, url = '' } = incoming;
  if (url === '/tap' && method === 'GET') {
    response.end(JSON.stringify({ connections: tap.connections, wireServerRequests }));
  } else if (url === '/tap' && method === 'DELETE') {
    tap.reset();
    wireServerRequests = 0;
    response.writeHead(204).end();
  } else if (url.startsWith('/emulator/')) {
    passOn(incoming, response, url.slice('/emulator'.length));
  } else {
    response.writeHead(404).end();
  }
}

function passOn(incoming: IncomingMessage, response: ServerResponse, path: string): void {
  const { method = 'GET', headers } = incoming;
  const options = { host: loopback, port: Number(values['control-port']), path, method, headers };
  const outgoing = request(options, answer => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(response);
  });
  outgoing.once('error', error => response.writeHead(502).end(error.message));
  incoming.pipe(outgoing);
}
