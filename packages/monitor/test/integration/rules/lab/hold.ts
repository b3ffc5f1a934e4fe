/**
 * Opens a connection, says `open`, sends a request when a line comes in, and prints the answer's first line or how it failed.
 *
 * Usage: hold.ts <address> <port>
 */
import { once } from 'node:events';
import { connect } from 'node:net';

const [address = '', port] = process.argv.slice(2);

const socket = connect(Number(port), address);
socket.on('error', error => finish((error as NodeJS.ErrnoException).code ?? 'error'));
await once(socket, 'connect');
process.stdin.on('end', () => process.exit());
console.log('open');

await once(process.stdin, 'data');
socket.on('data', chunk => finish(chunk.toString().split('\r\n')[0] ?? ''));
socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');

function finish(outcome: string): void {
  console.log(outcome);
  process.exit();
}
