import { IMDS_ADDRESS, TOKEN_PATH } from '@msi-proxy/shared';

/** The identity and the audience that the client's labels grant. */
export const CLIENT_ID = '11111111-2222-3333-4444-555555555555';
export const RESOURCE = 'https://vault.azure.net';

/** What clients send to IMDS. */
export const IMDS_HEADERS = { Host: IMDS_ADDRESS, Metadata: 'true' } as const;

export interface Workload {
  readonly name: 'token' | 'relay' | 'shared';
  readonly title: string;
  readonly target: string;
  /** What every side must answer. */
  readonly isRight: (body: string) => boolean;
}

/** A token of the usual size, that nobody accepts. */
const ACCESS_TOKEN = [
  { typ: 'JWT', alg: 'none' },
  { aud: RESOURCE, appid: CLIENT_ID, oid: CLIENT_ID, filling: 'x'.repeat(800) },
]
  .map(part => Buffer.from(JSON.stringify(part)).toString('base64url'))
  .join('.')
  .concat('.not-signed');

const TOKEN_ANSWER = {
  access_token: ACCESS_TOKEN,
  client_id: CLIENT_ID,
  expires_in: '86399',
  expires_on: '4102444800',
  ext_expires_in: '86399',
  not_before: '1767225600',
  resource: RESOURCE,
  token_type: 'Bearer',
};

const IDENTITY_INFO_ANSWER = {
  tenantId: '99999999-8888-7777-6666-555555555555',
  identityUrl: 'https://control-westeurope.identity.azure.net/subscriptions/0/credentials',
};

const INSTANCE_ANSWER = {
  compute: {
    azEnvironment: 'AzurePublicCloud',
    location: 'westeurope',
    name: 'vm-1',
    tags: 'x'.repeat(1_000),
  },
  network: { interface: [{ ipv4: { ipAddress: [{ privateIpAddress: '10.0.0.4', publicIpAddress: '' }] } }] },
};

/** The answers of the stand-in for IMDS, by path. */
export const ANSWERS = {
  [TOKEN_PATH]: TOKEN_ANSWER,
  '/metadata/identity/info': IDENTITY_INFO_ANSWER,
  '/metadata/instance': INSTANCE_ANSWER,
} as const;

export const WORKLOADS: readonly Workload[] = [
  {
    name: 'token',
    title: 'Cached token',
    target: `${TOKEN_PATH}?api-version=2018-02-01&resource=${encodeURIComponent(RESOURCE)}`,
    isRight: body => (JSON.parse(body) as typeof TOKEN_ANSWER).access_token === ACCESS_TOKEN,
  },
  {
    name: 'relay',
    title: 'Pass-through',
    target: '/metadata/identity/info?api-version=2018-02-01',
    isRight: body => body === JSON.stringify(IDENTITY_INFO_ANSWER),
  },
  {
    name: 'shared',
    title: 'The same metadata for all',
    target: '/metadata/instance?api-version=2021-02-01',
    isRight: body => body === JSON.stringify(INSTANCE_ANSWER),
  },
];

export function workload(name: Workload['name']): Workload {
  return WORKLOADS.find(each => each.name === name)!;
}
