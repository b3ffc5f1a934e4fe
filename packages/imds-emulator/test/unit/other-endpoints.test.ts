import assert from 'node:assert/strict';
import type { HostPort } from '@msi-proxy/shared';
import { FakeClock, settle } from '@msi-proxy/shared/testing';
import { DEFAULT_VM, REPROVISION_SECRET, type ScheduledEvent } from '../../src/index.ts';
import { request } from './support/raw-http.ts';
import { withEmulator } from './support/with-emulator.ts';

describe('/metadata/attested/document', () => {
  const PATH = '/metadata/attested/document?api-version=2021-02-01';

  async function document(address: HostPort, query = ''): Promise<Record<string, unknown>> {
    const answer = await request(address, PATH + query);
    const { encoding, signature } = JSON.parse(answer.body) as { encoding: string; signature: string };
    assert.equal(encoding, 'pkcs7');
    const bytes = Buffer.from(signature, 'base64');
    // A DER sequence that is as long as it says, and inside it the content as it stands.
    assert.equal(bytes[0], 0x30);
    assert.equal(bytes.readUInt16BE(2) + 4, bytes.length);
    const text = bytes.toString('latin1');
    return JSON.parse(text.slice(text.indexOf('{'), text.lastIndexOf('}') + 1)) as Record<string, unknown>;
  }

  it('carries the nonce and the VM', async () => {
    await withEmulator({ clock: new FakeClock('2018-11-28T00:16:17Z') }, async ({ address }) => {
      const content = await document(address, '&nonce=1234567890');
      assert.equal(content['nonce'], '1234567890');
      assert.equal(content['vmId'], DEFAULT_VM.vmId);
      assert.deepEqual(content['timeStamp'], {
        createdOn: '11/28/18 00:16:17 -0000',
        expiresOn: '11/28/18 06:16:17 -0000',
      });
    });
  });

  it('takes the time for a nonce when there is none', async () => {
    await withEmulator({ clock: new FakeClock('2018-11-28T00:16:17Z') }, async ({ address }) => {
      assert.equal((await document(address))['nonce'], '20181128-001617');
    });
  });

  it('refuses a nonce that is none', async () => {
    await withEmulator({}, async ({ address }) => {
      assert.equal((await request(address, `${PATH}&nonce=${'1'.repeat(33)}`)).status, 400);
      assert.equal((await request(address, `${PATH}&nonce=%22`)).status, 400);
    });
  });
});

describe('/metadata/identity', () => {
  it('tells the tenant', async () => {
    await withEmulator({}, async ({ address }) => {
      const answer = await request(address, '/metadata/identity/info?api-version=2018-02-01');
      assert.deepEqual(JSON.parse(answer.body), { tenantId: DEFAULT_VM.tenantId });
    });
  });

  for (const [method, name] of [
    ['GET', 'getplatformmetadata'],
    ['POST', 'issuecredential'],
    ['POST', 'credential'],
  ] as const) {
    it(`answers ${name} like an IMDS of the first version`, async () => {
      await withEmulator({}, async ({ address }) => {
        const target = `/metadata/identity/${name}?cred-api-version=2.0`;
        const answer = await request(address, target, { method, body: '' });
        const probe = await request(address, target, { method, headers: [] });
        assert.deepEqual([answer.status, probe.status], [404, 404]);
      });
    });
  }
});

describe('/metadata/loadbalancer', () => {
  const PATH = '/metadata/loadbalancer?api-version=2020-10-01';

  it('gives ports as numbers', async () => {
    await withEmulator({}, async ({ address }) => {
      const { loadbalancer } = JSON.parse((await request(address, PATH)).body) as {
        loadbalancer: { inboundRules: object[]; publicIpAddresses: object[] };
      };
      assert.deepEqual(loadbalancer.inboundRules, [
        {
          frontendIpAddress: '203.0.113.20',
          protocol: 'tcp',
          frontendPort: 80,
          backendPort: 8080,
          privateIpAddress: '10.1.0.4',
        },
      ]);
    });
  });

  it('answers 404 in the words of Azure when there is none, and 405 too', async () => {
    await withEmulator({ vm: { ...DEFAULT_VM, loadBalancer: null } }, async ({ address }) => {
      const none = await request(address, PATH);
      const put = await request(address, PATH, { method: 'PUT' });
      assert.equal(none.status, 404);
      assert.match(none.body, /No load balancer metadata is found/);
      assert.equal(put.body, '{"error":"Http method isn\'t allowed: PUT"}');
    });
  });
});

describe('/metadata/reprovisiondata', () => {
  it('gives away a secret, so that a proxy can be shown to stop it', async () => {
    await withEmulator({}, async ({ address }) => {
      const answer = await request(address, '/metadata/reprovisiondata?api-version=2019-06-01');
      assert.equal(answer.status, 200);
      assert.ok(answer.body.includes(REPROVISION_SECRET));
    });
  });
});

describe('/metadata/scheduledevents', () => {
  const EVENT: ScheduledEvent = {
    eventId: 'C7061BAC-AFDC-4513-B24B-AA5F13A16123',
    eventType: 'Freeze',
    resources: ['vm-emulated', 'vm-other'],
    notBefore: 'Mon, 11 Apr 2033 22:26:58 GMT',
    description: 'Paused',
    eventSource: 'Platform',
    durationSeconds: 5,
  };
  const vm = { ...DEFAULT_VM, scheduledEvents: [EVENT] };
  const target = (version = '2020-07-01') => `/metadata/scheduledevents?api-version=${version}`;
  const acknowledge = (address: HostPort, body: string) =>
    request(address, target(), {
      method: 'POST',
      body,
      headers: ['Metadata: true', 'Content-Type: application/x-www-form-urlencoded'],
    });

  it('lists the events', async () => {
    await withEmulator({ vm }, async ({ address }) => {
      assert.deepEqual(JSON.parse((await request(address, target())).body), {
        DocumentIncarnation: 1,
        Events: [
          {
            EventId: EVENT.eventId,
            EventStatus: 'Scheduled',
            EventType: 'Freeze',
            ResourceType: 'VirtualMachine',
            Resources: ['vm-emulated', 'vm-other'],
            NotBefore: EVENT.notBefore,
            Description: 'Paused',
            EventSource: 'Platform',
            DurationInSeconds: 5,
          },
        ],
      });
    });
  });

  it('leaves out what the version does not have', async () => {
    await withEmulator({ vm }, async ({ address }) => {
      const { body } = await request(address, target('2017-11-01'));
      assert.doesNotMatch(body, /Description|EventSource|DurationInSeconds/);
    });
  });

  it('has versions of its own', async () => {
    await withEmulator({ vm }, async ({ address }) => {
      const answer = await request(address, target('2021-02-01'));
      assert.equal(answer.status, 400);
      assert.match(answer.body, /"newest-versions":\["2020-07-01","2019-08-01","2019-04-01"\]/);
    });
  });

  it('starts an event that is acknowledged, for all of its resources', async () => {
    await withEmulator({ vm }, async ({ address }) => {
      const answer = await acknowledge(address, `{"StartRequests":[{"EventId":"${EVENT.eventId}"}]}`);
      const after = JSON.parse((await request(address, target())).body) as {
        DocumentIncarnation: number;
        Events: Record<string, unknown>[];
      };
      assert.deepEqual([answer.status, answer.body], [200, '']);
      assert.equal(after.DocumentIncarnation, 2);
      assert.equal(after.Events[0]?.['EventStatus'], 'Started');
      assert.equal(after.Events[0]['NotBefore'], '');
    });
  });

  for (const body of [
    '',
    'StartRequests=1',
    '[]',
    '{"StartRequests":[]}',
    '{"StartRequests":[{"EventId":7}]}',
    '{"StartRequests":[{"EventId":"unknown"}]}',
  ]) {
    it(`refuses to acknowledge ${JSON.stringify(body)}`, async () => {
      await withEmulator({ vm }, async ({ address }) => {
        assert.equal((await acknowledge(address, body)).status, 400);
        assert.match((await request(address, target())).body, /"EventStatus":"Scheduled"/);
      });
    });
  }

  it('takes its time to be switched on by the first request', async () => {
    const clock = new FakeClock();
    await withEmulator({ vm, clock, scheduledEventsEnableMillis: 120_000 }, async ({ address, emulator }) => {
      let isAnswered = false;
      const first = request(address, target()).then(answer => {
        isAnswered = true;
        return answer;
      });
      while (clock.pendingTimers === 0) await settle();
      await clock.advance(119_999);
      assert.equal(isAnswered, false);
      assert.equal(emulator.requests[0]?.status, null);
      await clock.advance(1);
      assert.equal((await first).status, 200);
      assert.equal((await request(address, target())).status, 200, 'the second is answered at once');
    });
  });
});
