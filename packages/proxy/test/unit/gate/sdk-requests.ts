/** What clients were seen to send, read from their sources. Host is added by the tests. */
export interface SdkRequest {
  readonly client: string;
  readonly target: string;
  readonly headers: readonly string[];
}

const TOKEN = '/metadata/identity/oauth2/token';
const ARM = 'api-version=2018-02-01&resource=https%3A%2F%2Fmanagement.azure.com%2F';
const CLIENT_ID = '00000000-0000-4000-8000-000000000001';
const RESOURCE_ID = encodeURIComponent(
  `/subscriptions/${CLIENT_ID}/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/app-id`,
);
const METADATA = ['Metadata', 'true'];

/** Asks whether IMDS is there: all without `Metadata`. */
export const SDK_PROBES: readonly SdkRequest[] = [
  { client: '@azure/identity', target: TOKEN, headers: ['Accept', 'application/json'] },
  { client: 'azidentity (Go)', target: TOKEN, headers: [] },
  { client: 'azure-identity (Python)', target: TOKEN, headers: ['User-Agent', 'python-requests/2.31.0'] },
  { client: 'Azure.Identity (.NET)', target: `${TOKEN}?${ARM}`, headers: [] },
  {
    client: 'Azure.Identity (.NET), client id',
    target: `${TOKEN}?${ARM}&client_id=${CLIENT_ID}`,
    headers: [],
  },
  {
    client: 'Azure.Identity (.NET), resource id',
    target: `${TOKEN}?${ARM}&msi-res-id=${RESOURCE_ID}`,
    headers: [],
  },
  { client: 'MSAL.NET, v1', target: `${TOKEN}?api-version=2018-02-01`, headers: [] },
  { client: 'go-autorest adal', target: `${TOKEN}?api-version=2018-02-01`, headers: [] },
];

export const SDK_REQUESTS: readonly SdkRequest[] = [
  {
    // With a Content-Type on a GET that has no body.
    client: 'msal-node',
    target: `${TOKEN}?${ARM}`,
    headers: [
      ...['Content-Type', 'application/x-www-form-urlencoded', ...METADATA, 'x-client-SKU', 'msal.js.node'],
      ...['x-client-Ver', '7.2.1', 'x-ms-client-request-id', CLIENT_ID, 'connection', 'keep-alive'],
    ],
  },
  { client: 'msal-node, client id', target: `${TOKEN}?${ARM}&client_id=${CLIENT_ID}`, headers: METADATA },
  { client: 'msal-node of 2024', target: `${TOKEN}?${ARM}&mi_res_id=${RESOURCE_ID}`, headers: METADATA },
  {
    client: 'msal-node, after a token was refused',
    target: `${TOKEN}?${ARM}&token_sha256_to_refresh=${'ab'.repeat(32)}&xms_cc=cp1%2Ccp2`,
    headers: METADATA,
  },
  { client: 'azidentity (Go)', target: `${TOKEN}?${ARM}&object_id=${CLIENT_ID}`, headers: METADATA },
  { client: 'MSAL Go', target: `${TOKEN}?${ARM}&msi_res_id=${RESOURCE_ID}`, headers: METADATA },
  {
    client: 'MSAL Python',
    target: `${TOKEN}?api-version=2018-02-01&resource=https%3A%2F%2Fvault.azure.net`,
    headers: ['User-Agent', 'python-requests/2.31.0', 'Accept-Encoding', 'gzip, deflate', ...METADATA],
  },
  { client: 'azure-identity (Java)', target: `${TOKEN}?${ARM}&mi_res_id=${RESOURCE_ID}`, headers: METADATA },
  {
    client: 'Hadoop ABFS',
    target: `${TOKEN}?api-version=2018-02-01&resource=https%3A%2F%2Fstorage.azure.com%2F&authority=https%3A%2F%2Flogin.microsoftonline.com%2F${CLIENT_ID}&client_id=${CLIENT_ID}&bypass_cache=true`,
    headers: [...METADATA, 'Connection', 'close'],
  },
  {
    client: 'curl, with a resource that is not encoded',
    target: `${TOKEN}?api-version=2018-02-01&resource=https://management.azure.com/`,
    headers: ['Accept', '*/*', ...METADATA],
  },
  {
    client: 'a client that says Content-Length: 0',
    target: `${TOKEN}?${ARM}`,
    headers: [...METADATA, 'Content-Length', '0'],
  },
  {
    client: 'MSAL.NET region discovery',
    target: '/metadata/instance/compute?api-version=2021-02-01',
    headers: METADATA,
  },
  {
    client: 'MSAL.NET region discovery, older',
    target: '/metadata/instance/compute/location?api-version=2020-06-01&format=text',
    headers: METADATA,
  },
  {
    client: 'MSAL.NET region discovery, looking for the newest version',
    target: '/metadata/instance/compute/location',
    headers: METADATA,
  },
  {
    client: 'cloud-init',
    target: '/metadata/instance?api-version=2021-08-01&extended=true',
    headers: [...METADATA, 'x-ms-client-request-id', CLIENT_ID],
  },
  {
    client: 'WALinuxAgent, with a capital True',
    target: '/metadata/instance/compute?api-version=2018-02-01',
    headers: ['Metadata', 'True', 'User-Agent', 'WALinuxAgent/2.9'],
  },
  {
    client: 'systemd',
    target:
      '/metadata/instance/network/interface/0/ipv4/ipAddress/0/privateIpAddress?api-version=2025-04-07&format=text',
    headers: METADATA,
  },
  { client: 'a folder listing', target: '/metadata/instance/?api-version=2021-02-01', headers: METADATA },
  { client: 'versions, which need no api-version', target: '/metadata/versions', headers: METADATA },
  {
    client: 'a check of attested data',
    target: '/metadata/attested/document?api-version=2020-09-01&nonce=1234567890',
    headers: ['Metadata', 'True'],
  },
  {
    client: 'a poll of scheduled events',
    target: '/metadata/scheduledevents?api-version=2020-07-01',
    headers: METADATA,
  },
  {
    client: 'load balancer metadata',
    target: '/metadata/loadbalancer?api-version=2020-10-01&format=json',
    headers: METADATA,
  },
  { client: 'tenant discovery', target: '/metadata/identity/info?api-version=2018-02-01', headers: METADATA },
];
