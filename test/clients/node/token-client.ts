// Asks for a token with @azure/identity as it is, and prints what came as one line of JSON: the claims and a digest of the
// token, never the token itself.
//
//   token-client <managed-identity|default> <resource> [client id of a user-assigned identity]
import { createHash } from 'node:crypto';
import { DefaultAzureCredential, ManagedIdentityCredential, type TokenCredential } from '@azure/identity';

const [kind = '', resource = '', clientId] = process.argv.slice(2);
const startMillis = performance.now();
try {
  const token = await credentialOf(kind).getToken(`${resource}/.default`);
  if (token === null) throw new Error('the credential gave no token');
  print({
    ok: true,
    sha256: createHash('sha256').update(token.token).digest('hex'),
    claims: JSON.parse(Buffer.from(token.token.split('.')[1] ?? '', 'base64url').toString()) as unknown,
    expiresOn: new Date(token.expiresOnTimestamp).toISOString(),
  });
} catch (error) {
  const { name, message } = error as Error;
  print({ ok: false, error: name, message });
}

function credentialOf(text: string): TokenCredential {
  switch (text) {
    case 'managed-identity':
      return clientId === undefined
        ? new ManagedIdentityCredential()
        : new ManagedIdentityCredential({ clientId });
    case 'default':
      return new DefaultAzureCredential(clientId === undefined ? {} : { managedIdentityClientId: clientId });
    default:
      throw new Error(`credential is "${text}": expected "managed-identity" or "default"`);
  }
}

function print(result: object): void {
  console.log(JSON.stringify({ ...result, elapsedMillis: Math.round(performance.now() - startMillis) }));
}
