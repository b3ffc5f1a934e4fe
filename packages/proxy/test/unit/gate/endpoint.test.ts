import assert from 'node:assert/strict';
import { errorShapeOf } from '@msi-proxy/shared/http';
import { endpointOf } from '../../../src/gate/endpoint.ts';

describe('endpoints', () => {
  for (const [path, group] of [
    ['/metadata/identity/oauth2/token', 'token'],
    ['/oauth2/token', 'token'],
    ['/oauth2', undefined],
    ['/metadata/identity/info', 'identity-info'],
    ['/metadata/identity/getplatformmetadata', 'credential'],
    ['/metadata/identity/issuecredential', 'credential'],
    ['/metadata/identity/credential', 'credential'],
    ['/metadata/instance', 'instance'],
    ['/metadata/instance/', 'instance'],
    ['/metadata/instance/compute', 'instance'],
    ['/metadata/instance/network/interface/0/ipv4/ipAddress/0/publicIpAddress', 'instance'],
    ['/metadata/instance/compute/userDataX', 'instance'],
    ['/metadata/instance/compute/userData', 'userdata'],
    ['/metadata/instance/compute/USERDATA', 'userdata'],
    ['/metadata/instance/compute/userdata/', 'userdata'],
    ['/metadata/instance/compute/osProfile/customData', 'userdata'],
    ['/metadata/instance/CustomData/x', 'userdata'],
    ['/metadata/loadbalancer', 'loadbalancer'],
    ['/metadata/attested/document', 'attested'],
    ['/metadata/scheduledevents', 'scheduledevents'],
    ['/metadata/versions', 'versions'],
    ['/.msi-proxy/ready', 'ready'],
    // Undocumented; it holds provisioning secrets (cloud-init reads it).
    ['/metadata/reprovisiondata', undefined],
    ['/metadata/identity', undefined],
    ['/metadata/identity/', undefined],
    ['/metadata/identity/oauth2/token/x', undefined],
    ['/metadata/instances', undefined],
    ['/metadata/attested', undefined],
    ['/metadata/constructor', undefined],
    ['__proto__', undefined],
    ['/', undefined],
  ] as const) {
    it(`${path} is ${group ?? 'unknown'}`, () => assert.equal(endpointOf(path, 'GET')?.group, group));
  }

  it('tell the acknowledgement of scheduled events from their list', () => {
    assert.equal(endpointOf('/metadata/scheduledevents', 'POST')?.group, 'scheduledevents-ack');
    assert.equal(endpointOf('/metadata/scheduledevents', 'HEAD')?.group, 'scheduledevents');
  });

  it('have the shape of errors of their category, also in spellings that are refused', () => {
    for (const [target, shape] of [
      ['/metadata/identity/oauth2/token', 'identity'],
      ['/metadata/identity', 'identity'],
      ['/metadata/identity?x', 'identity'],
      ['/METADATA/identity/x', 'identity'],
      ['/metadata/identity\\oauth2', 'identity'],
      ['/oauth2/token', 'identity'],
      ['/oauth2\\token', 'identity'],
      ['/oauth2x', 'instance'],
      ['/metadata/identityx', 'instance'],
      ['/metadata/instance', 'instance'],
      ['/metadata/instance?x=/metadata/identity/', 'instance'],
      ['', 'instance'],
    ] as const) {
      assert.equal(errorShapeOf(target), shape, target);
    }
  });
});
