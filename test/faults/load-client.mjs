// Asks 169.254.169.254 for a token at a fixed rate, over a new connection each time, and writes one line of JSON for each
// request: when it began and ended (milliseconds since the epoch), the status or the error, and whose token it was. Tokens
// themselves are not written. Runs in a client's network namespace; ends after SIGTERM, when nothing is under way.
//
//   node load-client.mjs <requests a second> <cached|fresh>
import { get } from 'node:http';

const [rate, kind] = process.argv.slice(2);
const TIMEOUT_MILLIS = 35_000;
const underWay = new Set();
let count = 0;

const timer = setInterval(
  () => {
    const asked = ask().finally(() => underWay.delete(asked));
    underWay.add(asked);
  },
  1_000 / Number(rate),
);
process.once('SIGTERM', () => {
  clearInterval(timer);
  void Promise.all(underWay);
});

async function ask() {
  count += 1;
  // Each resource is another token, so that a fresh one needs IMDS.
  const resource = kind === 'fresh' ? `https://r${process.pid}-${count}.example` : 'https://vault.azure.net';
  const beganAt = Date.now();
  const { outcome, objectId } = await request(
    `http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&resource=${encodeURIComponent(resource)}`,
  );
  console.log(JSON.stringify({ beganAt, endedAt: Date.now(), outcome, objectId }));
}

function request(url) {
  return new Promise(resolve => {
    const fail = error => resolve({ outcome: error.code ?? error.message });
    const options = { agent: false, headers: { Metadata: 'true' }, timeout: TIMEOUT_MILLIS };
    const sent = get(url, options, response => {
      let body = '';
      response.setEncoding('utf8').on('data', chunk => (body += chunk));
      response.once('error', fail);
      response.once('end', () => {
        if (response.statusCode !== 200) return resolve({ outcome: String(response.statusCode) });
        try {
          const { access_token: token } = JSON.parse(body);
          const { oid } = JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString());
          resolve({ outcome: '200', objectId: oid });
        } catch {
          resolve({ outcome: 'unreadable' });
        }
      });
    });
    sent.once('timeout', () => sent.destroy(new Error('no answer')));
    sent.once('error', fail);
  });
}
