import assert from 'node:assert/strict';
import type { Labels } from '@msi-proxy/shared';
import type { ContainerDetails } from '../../../src/docker/index.ts';
import { explanation, formatExplanation, type ExplanationFacts } from '../../../src/explain/explanation.ts';
import { desiredState, sharersOf } from '../../../src/reconcile/desired-state.ts';
import { BRIDGE, container, CLIENT_ID } from '../doctor/support.ts';

const ID = '11111111-1111-1111-1111-111111111111';

interface Situation extends Partial<Pick<ExplanationFacts, 'guard' | 'redirects' | 'unlabelledSharers'>> {
  readonly labels?: Labels;
  readonly changes?: Partial<ContainerDetails>;
  readonly others?: readonly ContainerDetails[];
}

/** What is said of a container, by title. */
function explained({
  labels,
  changes,
  others = [],
  guard = 'enforce',
  redirects = true,
  unlabelledSharers = 'refuse',
}: Situation = {}) {
  const web = container({ ...(labels !== undefined && { labels }), ...changes });
  const containers = [web, ...others];
  const snapshot = { containers, networks: [BRIDGE], gatewayAddresses: new Map(), defaultIsolation: '' };
  const { clients } = desiredState(snapshot, { unlabelledSharers, containerOs: 'auto' });
  const plan = clients.find(client => client.container.id === CLIENT_ID)?.plan;
  const paragraphs = explanation({
    container: web,
    ...(plan !== undefined && { plan }),
    sharers: sharersOf(CLIENT_ID, containers),
    guard,
    redirects,
    unlabelledSharers,
  });
  return Object.fromEntries(paragraphs.map(({ title, sentences }) => [title, sentences.join(' ')]));
}

const client = (labels: Labels = {}): Labels => ({ MSIClientContainer: '', ...labels });
const sharer = (labels: Labels) =>
  container({
    id: 'f'.repeat(64),
    name: 'sidecar',
    labels,
    networkMode: `container:${CLIENT_ID}`,
    networks: [],
  });

describe('the explanation of a container', () => {
  it('without policy labels: any identity, every resource, the usual endpoints, and how to restrict it', () => {
    const said = explained();
    assert.match(
      said['Identities'] ?? '',
      /whichever IMDS chooses.*any identity of the VM.*set com\.msi-proxy\.identity\./,
    );
    assert.match(said['Resources'] ?? '', /every resource.*com\.msi-proxy\.resources/);
    assert.match(
      said['Endpoints'] ?? '',
      /tokens of managed identities;.*\(what every client may\).*Refused .*userdata/,
    );
    assert.match(said['To change it'] ?? '', /start it again/);
  });

  it('with an identity of its own: that one, no other, and where more would be allowed', () => {
    const said = explained({ labels: client({ 'com.msi-proxy.identity': 'system' }) });
    assert.match(
      said['Identities'] ?? '',
      /is for the VM’s own \(system-assigned\) identity\. It may name no other\. .*com\.msi-proxy\.identities/,
    );
  });

  it('with further identities, with all, or with none by default', () => {
    const more = explained({
      labels: client({ 'com.msi-proxy.identity': 'system', 'com.msi-proxy.identities': ID }),
    });
    assert.match(more['Identities'] ?? '', /It may also name the identity with the client id 1{8}-/);
    const all = explained({
      labels: client({ 'com.msi-proxy.identity': ID, 'com.msi-proxy.identities': '*' }),
    });
    assert.match(all['Identities'] ?? '', /client id 1.*may name any identity of the VM/);
    const none = explained({ labels: client({ 'com.msi-proxy.identities': `object:${ID}` }) });
    assert.match(none['Identities'] ?? '', /names no identity is refused \(403\).*object id 1/);
  });

  it('with resources and endpoints of its own', () => {
    const said = explained({
      labels: client({
        'com.msi-proxy.resources': 'https://vault.azure.net,api://x/*',
        'com.msi-proxy.endpoints': 'token',
      }),
    });
    assert.match(
      said['Resources'] ?? '',
      /tokens for https:\/\/vault\.azure\.net, api:\/\/x\/\*\. .*refused \(403\)/,
    );
    assert.match(
      said['Endpoints'] ?? '',
      /may read tokens of managed identities; which API versions there are\./,
    );
    assert.match(said['Endpoints'] ?? '', /Refused .*: identity-info, instance/);
  });

  it('that is refused as a whole: why, and how that is answered', () => {
    const said = explained({ labels: client({ 'com.msi-proxy.identty': 'system' }) });
    assert.match(said['Refused'] ?? '', /identty.*403/);
    assert.equal(said['Identities'], undefined);
  });

  it('that is refused, where only clients are sent to the proxy: is answered by none', () => {
    const said = explained({ labels: client({ 'com.msi-proxy.identty': 'system' }), redirects: false });
    assert.match(said['Refused'] ?? '', /identty.*no proxy answers/);
    assert.doesNotMatch(said['Refused'] ?? '', /403/);
  });

  it('without the label: what happens when it asks, by what the guard does', () => {
    const asks = (guard: ExplanationFacts['guard']) =>
      explained({ labels: {}, guard })['What happens when it asks'] ?? '';
    assert.match(asks('enforce'), /Identity not found.*no way to IMDS past the proxy/);
    assert.match(asks('audit'), /only counts/);
    assert.match(asks('off'), /guard is off/);
    assert.match(asks('unavailable'), /no guard/);
    assert.match(asks('not-in-place'), /^It may reach IMDS directly: the guard is not in place now/);
    assert.match(asks('unknown'), /^It may reach IMDS directly: no monitor answers/);
    assert.match(explained({ labels: {} })['Label'] ?? '', /no label MSIClientContainer/);
  });

  it('without the label, where only clients are sent to the proxy: gets no answer of a proxy', () => {
    const asks = (guard: ExplanationFacts['guard']) =>
      explained({ labels: {}, guard, redirects: false })['What happens when it asks'] ?? '';
    assert.match(asks('enforce'), /fail or time out\. There is no way to IMDS past the proxy/);
    assert.doesNotMatch(asks('enforce'), /Identity not found/);
    assert.match(asks('not-in-place'), /^It may reach IMDS directly/);
    assert.match(asks('audit'), /only counts/);
  });

  it('on the network of the VM: no label restricts it', () => {
    const changes = { networkMode: 'host', networks: [] };
    assert.match(
      explained({ labels: {}, changes })['What happens when it asks'] ?? '',
      /reaches IMDS directly/,
    );
    assert.match(explained({ changes })['Refused'] ?? '', /VM's own network/);
  });

  it('that is a proxy', () => {
    assert.match(explained({ labels: { MSIProxyContainer: '' } })['Role'] ?? '', /It is a proxy/);
  });

  it('that shares its network: with whom, and what that does to it', () => {
    const both = explained({
      labels: client({ 'com.msi-proxy.resources': 'https://vault.azure.net,https://storage.azure.com' }),
      others: [sharer(client({ 'com.msi-proxy.resources': 'https://vault.azure.net' }))],
    });
    assert.match(both['Who shares its network'] ?? '', /sidecar: .*only what all of their labels allow/);
    assert.match(both['Resources'] ?? '', /tokens for https:\/\/vault\.azure\.net\./);
    const stranger = { others: [sharer({})] };
    assert.match(explained(stranger)['Refused'] ?? '', /sidecar/);
    assert.match(explained(stranger)['Who shares its network'] ?? '', /because of them/);
    const ignored = explained({ ...stranger, unlabelledSharers: 'ignore' });
    assert.match(ignored['Who shares its network'] ?? '', /they use what it was given/);
    const strangers = explained({
      labels: client({
        'com.msi-proxy.resources': 'https://vault.azure.net',
        'com.msi-proxy.identity': 'system',
      }),
      others: [
        sharer(
          client({ 'com.msi-proxy.resources': 'https://storage.azure.com', 'com.msi-proxy.identity': ID }),
        ),
      ],
    });
    assert.match(strangers['Resources'] ?? '', /None: .*no resource in common/);
    assert.match(strangers['Identities'] ?? '', /None: .*no identity in common/);
  });

  it('is text that fits the terminal and that names cannot forge', () => {
    const text = formatExplanation(
      [{ title: 'Title', sentences: [`evil\n\u001b[2J ${'word '.repeat(40)}`] }],
      { paint: each => each, width: 60 },
    );
    assert.ok(text.startsWith('Title\n  evil [2J word'));
    assert.ok(text.split('\n').every(line => line.length <= 60));
  });
});
