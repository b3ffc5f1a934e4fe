// Asks for a token with one of Azure's libraries as it is, and prints what came as one line of JSON: the claims and a
// digest of the token, never the token itself. The argument is a request of `test/lab/product.ts` as JSON.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { SdkRequest } from '../../lab/index.ts';
import { tokenSource } from './libraries.ts';

const request = JSON.parse(process.argv[2] ?? '{}') as SdkRequest;
const getToken = await tokenSource(request);
if (request.waits === true) await told();
const startMillis = performance.now();
try {
  const { token, expiresOn } = await getToken();
  print({
    ok: true,
    sha256: createHash('sha256').update(token).digest('hex'),
    claims: JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as unknown,
    expiresOn: expiresOn.toISOString(),
  });
} catch (error) {
  const { name, message } = error as Error;
  print({ ok: false, error: name, message });
}

/** Everything is loaded; the request begins when the test says so. */
async function told(): Promise<void> {
  console.log('ready');
  await once(process.stdin, 'data');
  process.stdin.destroy();
}

function print(result: object): void {
  console.log(JSON.stringify({ ...result, elapsedMillis: Math.round(performance.now() - startMillis) }));
}
