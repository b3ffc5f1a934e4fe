import type { Clock } from '@msi-proxy/shared';
import { identityError, json } from '../http/reply.ts';
import { TokenIssuer } from '../identity/token-issuer.ts';
import type { VirtualMachine } from '../vm/virtual-machine.ts';
import { API_VERSIONS, SCHEDULED_EVENTS_VERSIONS } from './api-versions.ts';
import { answerAttestedDocument } from './attested/document.ts';
import type { Endpoint } from './endpoint.ts';
import { answerToken } from './identity/token.ts';
import { answerInstance } from './instance/instance.ts';
import { answerLoadBalancer } from './load-balancer.ts';
import { answerReprovisionData } from './reprovision-data.ts';
import type { EndpointTable } from './router.ts';
import { ScheduledEvents } from './scheduled-events.ts';

export interface EndpointOptions {
  readonly vm: VirtualMachine;
  readonly clock: Clock;
  readonly tokenLifetimeSeconds: number;
  readonly scheduledEventsEnableMillis: number;
}

const GET = ['GET'];

/** Every endpoint of a VM, by its path below `/metadata`. Minimum versions: "Endpoint categories" of the IMDS page. */
export function createEndpoints(options: EndpointOptions): EndpointTable {
  const { vm, clock } = options;
  const issuer = new TokenIssuer({ clock, lifetimeSeconds: options.tokenLifetimeSeconds });
  const scheduledEvents = new ScheduledEvents({
    events: vm.scheduledEvents,
    clock,
    enableMillis: options.scheduledEventsEnableMillis,
  });
  return {
    versions: {
      category: 'versions',
      errorShape: 'instance',
      methods: GET,
      handle: () => json({ apiVersions: API_VERSIONS }),
    },
    instance: {
      category: 'instance',
      errorShape: 'instance',
      methods: GET,
      versions: { supported: API_VERSIONS, since: '2017-04-02' },
      hasParts: true,
      handle: request => answerInstance(vm, request),
    },
    'attested/document': {
      category: 'attested',
      errorShape: 'instance',
      methods: GET,
      versions: { supported: API_VERSIONS, since: '2018-10-01' },
      handle: request => answerAttestedDocument({ vm, clock }, request),
    },
    'identity/info': {
      category: 'identity-info',
      errorShape: 'identity',
      methods: GET,
      versions: { supported: API_VERSIONS, since: '2018-02-01' },
      handle: () => json({ tenantId: vm.tenantId }),
    },
    'identity/oauth2/token': {
      category: 'token',
      errorShape: 'identity',
      methods: GET,
      versions: { supported: API_VERSIONS, since: '2018-02-01' },
      handle: request => answerToken({ vm, issuer }, request),
    },
    'identity/getplatformmetadata': notOfThisVersion(GET),
    'identity/issuecredential': notOfThisVersion(['POST']),
    'identity/credential': notOfThisVersion(['POST']),
    scheduledevents: {
      category: 'scheduledevents',
      errorShape: 'instance',
      methods: ['GET', 'POST'],
      versions: { supported: SCHEDULED_EVENTS_VERSIONS, since: '2017-08-01' },
      handle: request => scheduledEvents.answer(request),
    },
    loadbalancer: {
      category: 'loadbalancer',
      errorShape: 'instance',
      methods: GET,
      versions: { supported: API_VERSIONS, since: '2020-10-01' },
      handle: request => answerLoadBalancer(vm, request),
    },
    reprovisiondata: {
      category: 'reprovisiondata',
      errorShape: 'instance',
      methods: GET,
      versions: { supported: API_VERSIONS, since: '2019-06-01' },
      handle: answerReprovisionData,
    },
  };
}

/**
 * The credential endpoints of MSIv2. An IMDS without them answers 404, also to MSAL's probe, which sends no `Metadata`,
 * and MSAL goes on with MSIv1 (AzureAD/microsoft-authentication-library-for-dotnet@39d2001 `ManagedIdentityClient.cs`).
 */
function notOfThisVersion(methods: readonly string[]): Endpoint {
  return {
    category: 'credential',
    errorShape: 'identity',
    methods,
    takesAnyHeaders: true,
    handle: () => identityError(404, 'not_found', 'Not found'),
  };
}
