import assert from 'node:assert/strict';
import { TOKEN_PATH } from '@msi-proxy/shared';
import { tokenPath } from '../lab/index.ts';
import { Scenario } from './support/scenario.ts';

const TOKEN = tokenPath('https://vault.azure.net');
const HOST = 'Host: 169.254.169.254\r\n';
const METADATA = 'Metadata: true\r\n';

/** Requests by what is wrong with them; none may send a byte to IMDS. */
const HOSTILE: Readonly<Record<string, string>> = {
  'no Metadata': `GET ${TOKEN} HTTP/1.1\r\n${HOST}\r\n`,
  'no Metadata, no query': `GET ${TOKEN_PATH} HTTP/1.1\r\n${HOST}\r\n`,
  'Metadata: false': `GET ${TOKEN} HTTP/1.1\r\n${HOST}Metadata: false\r\n\r\n`,
  'X-Forwarded-For': `GET ${TOKEN} HTTP/1.1\r\n${HOST}${METADATA}X-Forwarded-For: 10.0.0.1\r\n\r\n`,
  'x-forwarded-for, empty': `GET ${TOKEN} HTTP/1.1\r\n${HOST}${METADATA}x-forwarded-for:\r\n\r\n`,
  'absolute form': `GET http://169.254.169.254${TOKEN} HTTP/1.1\r\n${HOST}${METADATA}\r\n`,
  'authority form': `CONNECT 169.254.169.254:80 HTTP/1.1\r\n${HOST}${METADATA}\r\n`,
  'asterisk form': `OPTIONS * HTTP/1.1\r\n${HOST}${METADATA}\r\n`,
  'two Hosts': `GET ${TOKEN} HTTP/1.1\r\n${HOST}${HOST}${METADATA}\r\n`,
  "somebody's Host": `GET ${TOKEN} HTTP/1.1\r\nHost: evil.example\r\n${METADATA}\r\n`,
  'a body with a length': `GET ${TOKEN} HTTP/1.1\r\n${HOST}${METADATA}Content-Length: 5\r\n\r\nhello`,
  'a chunked body': `GET ${TOKEN} HTTP/1.1\r\n${HOST}${METADATA}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
  'both lengths': `GET ${TOKEN} HTTP/1.1\r\n${HOST}${METADATA}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  'a smuggled request': `DELETE ${TOKEN} HTTP/1.1\r\n${HOST}${METADATA}Transfer-Encoding: chunked\r\n\r\n31\r\nGET ${TOKEN_PATH} HTTP/1.1\r\nMetadata: true\r\n\r\n\r\n0\r\n\r\n`,
  'a trailer': `GET ${TOKEN} HTTP/1.1\r\n${HOST}${METADATA}Trailer: X\r\n\r\n`,
  'an expectation': `GET ${TOKEN} HTTP/1.1\r\n${HOST}${METADATA}Expect: 100-continue\r\n\r\n`,
  'an upgrade': `GET ${TOKEN} HTTP/1.1\r\n${HOST}${METADATA}Upgrade: h2c\r\nConnection: Upgrade\r\n\r\n`,
  'a POST': `POST ${TOKEN} HTTP/1.1\r\n${HOST}${METADATA}Content-Length: 0\r\n\r\n`,
  'bare line feeds': `GET ${TOKEN} HTTP/1.1\n${HOST}${METADATA}X: y\n\n`,
  'no HTTP': 'hello, is it me you are looking for?\r\n\r\n',
  'a header block that is too large': `GET ${TOKEN} HTTP/1.1\r\n${HOST}${METADATA}X: ${'a'.repeat(20_000)}\r\n\r\n`,
  ...Object.fromEntries(
    [
      '/metadata/identity\\oauth2/token',
      '/metadata/identity/oauth2\\token',
      '\\metadata\\identity\\oauth2\\token',
      '/metadata/identity/oauth2/token//',
      '/metadata//identity/oauth2/token',
      '//metadata/identity/oauth2/token',
      '/metadata/./identity/oauth2/token',
      '/metadata/x/../identity/oauth2/token',
      '/metadata/instance/..%2fidentity%2foauth2%2ftoken',
      '/metadata/identity%2foauth2%2ftoken',
      '/metadata/identity%5coauth2%5ctoken',
      '/metadata/%69dentity/oauth2/token',
      '/METADATA/identity/oauth2/token',
      '/metadata/identity/oauth2/token;x',
      '/metadata/identity/oauth2/token%00',
      '/metadata/identity/oauth2/token#x',
      '/metadata/reprovisiondata',
      '/metadata/identity/oauth2/TOKEN',
    ].map(path => [
      path,
      `GET ${path}?api-version=2018-02-01&resource=https://vault.azure.net HTTP/1.1\r\n${HOST}${METADATA}\r\n`,
    ]),
  ),
  'a repeated parameter': `GET ${TOKEN}&resource=https://graph.microsoft.com HTTP/1.1\r\n${HOST}${METADATA}\r\n`,
  'a repeated parameter, encoded': `GET ${TOKEN}&%72esource=x HTTP/1.1\r\n${HOST}${METADATA}\r\n`,
};

/** Sends each text over a connection of its own and prints the first line of each answer as JSON. */
const SENDER = `
  const net = require('net');
  let input = '';
  process.stdin.on('data', chunk => input += chunk).on('end', async () => {
    const answers = {};
    for (const [name, text] of Object.entries(JSON.parse(input))) {
      answers[name] = await new Promise(resolve => {
        const socket = net.connect(80, '169.254.169.254', () => socket.write(text, 'latin1'));
        let answer = '';
        socket.setTimeout(3000, () => socket.destroy());
        socket.on('data', chunk => { answer += chunk; socket.end(); });
        socket.on('error', error => { answer = answer || error.code; });
        socket.on('close', () => resolve(answer.split('\\r\\n')[0]));
      });
    }
    console.log(JSON.stringify(answers));
  });`;

for (const wiring of ['host', 'nat'] as const) {
  describe(`requests that no client sends, wired by ${wiring}`, () => {
    let scenario: Scenario;

    before(async () => {
      scenario = await Scenario.start({ wiring });
      await scenario.startMonitor();
      await scenario.startProxy();
      await scenario.untilServing();
      await scenario.startClient({ name: 'client' });
      await scenario.untilWired('client');
    });
    after(() => scenario[Symbol.asyncDispose]());

    it(`are answered with an error, and not one byte of ${Object.keys(HOSTILE).length} reaches IMDS`, async function () {
      this.timeout(180_000);
      await scenario.vm.imds.forgetArrivals();
      const { stdout, stderr } = await scenario.vm.engine.run(
        ['exec', '--interactive', 'client', 'node', '-e', SENDER],
        {
          stdin: JSON.stringify(HOSTILE),
        },
      );
      const answers = JSON.parse(stdout || stderr) as Record<string, string>;
      assert.deepEqual(Object.keys(answers), Object.keys(HOSTILE));
      for (const [name, answer] of Object.entries(answers)) {
        // Node closes a CONNECT, and what is no HTTP at all, without or with an answer.
        assert.match(answer, /^HTTP\/1\.1 4\d\d|^$|^ECONNRESET$/, name);
      }
      const { connections } = await scenario.vm.imds.arrivals();
      assert.deepEqual(connections, []);
    });

    it('leave the proxy serving', async () => {
      for (const value of ['true', 'True', 'TRUE']) {
        const { status } = await scenario.request('client', { path: TOKEN, headers: { Metadata: value } });
        assert.equal(status, 200, value);
      }
    });

    it('leave no token in any log', async () => {
      const logs = [await scenario.docker('logs', 'proxy'), scenario.monitorLog()].join('');
      assert.match(logs, /"verdict":"allowed"/);
      assert.doesNotMatch(logs, /eyJ|imds-emulator-token/);
    });
  });
}
