// Runs inside a client: asks for a token, or probes as SDKs do, at a fixed rate, over a new connection each time or over kept ones. Says `ready`
// when it is served, ends when it is told to, and prints what came of it.
//
//   node --eval <this> <new|kept> <token|probe> <requests a second> <url>
import { Agent, get } from 'node:http';

const [connections, kind, rate, url] = process.argv.slice(1);
const agent = connections === 'kept' ? new Agent({ keepAlive: true }) : undefined;
const metadata = kind === 'token' ? { Metadata: 'true' } : {};
const expectedStatus = kind === 'token' ? 200 : 400;
const result = { requests: 0, failures: [], longestGapMillis: 0 };
const underWay = new Set();

while ((await ask()) !== undefined);
let lastServedAt = performance.now();
const timer = setInterval(
  () => {
    const asked = measure().finally(() => underWay.delete(asked));
    underWay.add(asked);
  },
  1_000 / Number(rate),
);
console.log('ready');
process.stdin.once('data', () => {
  clearInterval(timer);
  void Promise.all(underWay).then(() => {
    console.log(JSON.stringify(result));
    process.exit();
  });
});

async function measure() {
  result.requests += 1;
  const failure = await ask();
  const now = performance.now();
  if (failure === undefined) {
    result.longestGapMillis = Math.max(result.longestGapMillis, Math.round(now - lastServedAt));
    lastServedAt = now;
  } else result.failures.push(failure);
}

/** @returns what went wrong */
function ask() {
  return new Promise(resolve => {
    const headers = { ...metadata, ...(agent === undefined && { Connection: 'close' }) };
    const request = get(url, { headers, agent: agent ?? false, timeout: 35_000 }, response => {
      response.resume();
      response.once('end', () =>
        resolve(response.statusCode === expectedStatus ? undefined : String(response.statusCode)),
      );
      response.once('error', error => resolve(error.code ?? 'error'));
    });
    request.once('timeout', () => request.destroy(new Error('no answer')));
    request.once('error', error => resolve(error.code ?? error.message));
  });
}
