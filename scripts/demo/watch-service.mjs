// Runs inside a client: asks for metadata again and again, each time over a new connection. Makes the first file when it
// is served, and ends when the second one is there. Prints how many requests there were, how many failed, and the longest
// time without an answer.
import { existsSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

const [watchingFile, stopFile, url] = process.argv.slice(1);
const result = { requests: 0, failed: 0, longestGapMillis: 0 };
await isServed();
let lastAnswerAt = performance.now();
writeFileSync(watchingFile, '');
while (!existsSync(stopFile)) {
  result.requests += 1;
  if (await isServed()) {
    const now = performance.now();
    result.longestGapMillis = Math.max(result.longestGapMillis, Math.round(now - lastAnswerAt));
    lastAnswerAt = now;
  } else {
    result.failed += 1;
  }
  await sleep(20);
}
console.log(JSON.stringify(result));

function isServed() {
  return new Promise(resolve => {
    const options = { headers: { Metadata: 'true' }, agent: false, timeout: 30_000 };
    const request = get(url, options, response => {
      response.resume();
      response.once('end', () => resolve(response.statusCode === 200));
      response.once('error', () => resolve(false));
    });
    request.once('timeout', () => request.destroy(new Error('no answer')));
    request.once('error', () => resolve(false));
  });
}
