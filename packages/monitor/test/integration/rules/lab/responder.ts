/**
 * Stands for IMDS, WireServer or a proxy: says over HTTP and UDP who it is and whom it sees.
 *
 * Usage: responder.ts <name> <address>:<tcp port>… udp:<address>:<port>…
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { INSTANCE_HEADER } from '@msi-proxy/shared';

const [name = '', ...endpoints] = process.argv.slice(2);

for (const endpoint of endpoints) {
  const [port, address, transport] = endpoint.split(':').toReversed();
  if (transport === 'udp') await respondOverUdp(Number(port), address);
  else await respondOverHttp(Number(port), address);
}
// The test's end of the pipe closes with the test, however that ends.
process.stdin.on('end', () => process.exit()).resume();
console.log('ready');

async function respondOverHttp(port: number, address: string | undefined): Promise<void> {
  const server = createServer((request, response) => {
    if (name !== 'imds') response.setHeader(INSTANCE_HEADER, name);
    response.end(JSON.stringify({ from: name, peer: request.socket.remoteAddress }));
  });
  server.listen(port, address);
  await once(server, 'listening');
}

async function respondOverUdp(port: number, address: string | undefined): Promise<void> {
  const socket = createSocket('udp4', (_, peer) => {
    socket.send(JSON.stringify({ from: name, peer: peer.address }), peer.port, peer.address);
  });
  socket.bind(port, address);
  await once(socket, 'listening');
}
