import assert from 'node:assert/strict';
import { ask, open, readAll } from '../../unit/support/raw-client.ts';
import { HOSTILE_REQUESTS, TARGET, TOLERATED_REQUESTS } from './raw-requests.ts';
import { complaintAbout, withTappedProxy } from './tapped-proxy.ts';

describe('bytes that no client sends', function () {
  this.timeout(120_000);

  it(`get an error or nothing, and not one byte of ${HOSTILE_REQUESTS.length} requests reaches IMDS`, async () => {
    assert.ok(HOSTILE_REQUESTS.length >= 300);
    await withTappedProxy({}, async ({ imds, port, program }) => {
      const problems: string[] = [];
      for (const { name, bytes } of HOSTILE_REQUESTS) {
        const before = imds.bytesReceived;
        const socket = open({ port });
        socket.write(bytes, 'latin1');
        // What is not complete yet would otherwise wait for its time to be over.
        socket.end();
        const { text } = await readAll(socket);
        if (!/^(HTTP\/1\.1 4\d\d [^]*|)$/.test(text)) problems.push(`${name} got ${text.slice(0, 200)}`);
        if (imds.bytesReceived > before)
          problems.push(`${name} caused ${imds.requests.at(-1)?.text ?? 'bytes'}`);
      }
      assert.deepEqual(problems, []);
      for (const { name, bytes } of TOLERATED_REQUESTS) {
        const target = `/metadata/instance/compute?api-version=2021-02-01&format=text`;
        const socket = open({ port });
        const ending = '\r\nConnection: close\r\n\r\n';
        socket.write(bytes.replace(TARGET, target).replace(/\r\n\r\n$/, ending), 'latin1');
        const { status } = await readAll(socket);
        assert.equal(status, 200, name);
        assert.equal(complaintAbout(imds.requests.at(-1)?.text ?? ''), undefined, name);
      }
      assert.equal(imds.requests.length, TOLERATED_REQUESTS.length);
      const answer = await ask(TARGET, { port });
      assert.equal(answer.status, 200);
      assert.equal(imds.requests.length, TOLERATED_REQUESTS.length + 1);
      assert.equal(complaintAbout(imds.requests.at(-1)!.text), undefined);
      assert.doesNotMatch(program.stdout, /"level":"error"/);
    });
  });
});
