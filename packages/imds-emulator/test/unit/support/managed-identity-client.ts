/**
 * A program of its own that gets tokens with @azure/identity: `node managed-identity-client.ts '[{"clientId":…}]'`.
 * It prints `[{"token":…}|{"error":…}]`. A process of its own because msal-node keeps the endpoint it first found in a
 * static field.
 */
import { Socket } from 'node:net';
import { ManagedIdentityCredential, type ManagedIdentityCredentialClientIdOptions } from '@azure/identity';

refuseAllButLoopback();

const results: ({ token: string } | { error: string })[] = [];
for (const options of JSON.parse(process.argv[2] ?? '[]') as ManagedIdentityCredentialClientIdOptions[]) {
  try {
    const { token } = await new ManagedIdentityCredential(options).getToken(
      'https://vault.azure.net/.default',
    );
    results.push({ token });
  } catch (error) {
    results.push({ error: String(error) });
  }
}
console.log(JSON.stringify(results));

// On a cloud machine 169.254.169.254 is real: whatever a library does, nothing may leave this machine.
function refuseAllButLoopback(): void {
  const connect = Reflect.get(Socket.prototype, 'connect') as (...parameters: unknown[]) => Socket;
  Socket.prototype.connect = function (this: Socket, ...parameters: unknown[]): Socket {
    if (!/"(?:host|hostname)":"127\.0\.0\.1"/.test(JSON.stringify(parameters))) {
      throw new Error('a connection to something else than 127.0.0.1 was tried');
    }
    return connect.apply(this, parameters);
  };
}
