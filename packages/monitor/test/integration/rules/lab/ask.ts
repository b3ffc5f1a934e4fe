/**
 * Asks a responder and prints, as JSON, its answer or how it failed.
 *
 * Usage: ask.ts tcp|udp <address> <port> <timeout in milliseconds>
 */
import { createSocket } from 'node:dgram';
import { get } from 'node:http';

const [transport, address = '', port, timeout] = process.argv.slice(2);
const timeoutMillis = Number(timeout);

const answer = await (transport === 'udp' ? askOverUdp() : askOverHttp()).catch((error: unknown) =>
  JSON.stringify({ failure: (error as NodeJS.ErrnoException).code }),
);
console.log(answer);
process.exit();

async function askOverHttp(): Promise<string> {
  return await new Promise((resolve, reject) => {
    const request = get({ host: address, port, agent: false }, response => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => resolve(Buffer.concat(chunks).toString()));
    });
    request.on('error', reject);
    setTimeout(() => reject(timedOut()), timeoutMillis);
  });
}

async function askOverUdp(): Promise<string> {
  return await new Promise((resolve, reject) => {
    const socket = createSocket('udp4');
    socket.on('message', message => resolve(message.toString()));
    socket.on('error', reject);
    // Connected, so that an ICMP refusal is told.
    socket.connect(Number(port), address, () => socket.send('?'));
    setTimeout(() => reject(timedOut()), timeoutMillis);
  });
}

function timedOut(): Error {
  return Object.assign(new Error('no answer'), { code: 'timeout' });
}
