import {
  DEFAULT_APP_IDENTITY,
  DEFAULT_DATA_IDENTITY,
  DEFAULT_SYSTEM_IDENTITY,
} from '@msi-proxy/imds-emulator';
import {
  hasCompactToken,
  hasRemainingTime,
  hasUnreachableReason,
  isBadRequest,
  isReadByHadoop,
  isReadByMsalNet,
  reader,
  saysUnreachable,
  statuses,
  type Outcome,
  type Read,
} from './outcomes.ts';
import {
  AZSDK_NET,
  AZSDK_PYTHON,
  azsdkJs,
  CLIENT_REQUEST_ID,
  ENCODED_VAULT,
  GO_TRANSPORT,
  head,
  HOST,
  HTTP_URL_CONNECTION,
  METADATA,
  pythonRequests,
  TOKEN_PATH,
  VAULT,
  type WireRequest,
} from './wire.ts';

/** A client that asks for tokens, and what it makes of the answers. */
export interface TokenClient {
  readonly client: string;
  readonly source: string;
  readonly read: Read;
  /** Where there is no such identity, and for containers without the label. */
  readonly withoutIdentity: Outcome;
  /** For a container that may not have the identity or the resource. */
  readonly whenDenied: Outcome;
  /** While the proxy cannot serve for the moment. */
  readonly whenUnavailable: Outcome;
  readonly requests: readonly TokenRequest[];
}

export interface TokenRequest extends Pick<WireRequest, 'bytes'> {
  /** What is special about it, after the client's name. */
  readonly variant: string;
  /** Client id of the identity that it asks for. */
  readonly clientId: string;
}

const system = DEFAULT_SYSTEM_IDENTITY.clientId;
const { clientId: app, objectId: appObject, resourceId: appResource } = DEFAULT_APP_IDENTITY;
const { clientId: data, resourceId: dataResource } = DEFAULT_DATA_IDENTITY;
const encodedApp = encodeURIComponent(appResource);
const encodedData = encodeURIComponent(dataResource);

const QUERY = `api-version=2018-02-01&resource=${ENCODED_VAULT}`;
const UNENCODED_QUERY = `api-version=2018-02-01&resource=${VAULT}`;

function get(query: string, ...headers: readonly string[]): string {
  return head(`GET ${TOKEN_PATH}?${query} HTTP/1.1`, ...headers);
}

/** The same request with each identity parameter. */
function variants(
  request: (parameter: string) => string,
  ...named: readonly (readonly [variant: string, parameter: string, clientId: string])[]
): TokenRequest[] {
  return [
    { variant: 'system-assigned', bytes: request(''), clientId: system },
    ...named.map(([variant, parameter, clientId]) => ({ variant, bytes: request(parameter), clientId })),
  ];
}

// With a Content-Type on a GET that has no body.
const MSAL_NODE = [
  METADATA,
  'x-client-SKU: msal.js.node',
  'x-client-VER: 7.2.1',
  CLIENT_REQUEST_ID,
  'Content-Type: application/x-www-form-urlencoded;charset=utf-8',
];
const msalRetries = statuses(404, 408, 410, 429, '5xx');

function azureIdentityJs4(parameter: string): string {
  return get(
    `${QUERY}${parameter}`,
    ...MSAL_NODE,
    'Accept-Encoding: gzip,deflate',
    azsdkJs('4.14.1'),
    HOST,
    'Connection: keep-alive',
  );
}

function azureIdentityJs(version: string): (parameter: string) => string {
  return parameter =>
    get(
      `resource=${ENCODED_VAULT}&api-version=2018-02-01${parameter}`,
      'Accept: application/json',
      METADATA,
      'Accept-Encoding: gzip,deflate',
      azsdkJs(version),
      CLIENT_REQUEST_ID,
      HOST,
      'Connection: keep-alive',
    );
}

function msalNode(parameter: string): string {
  return get(
    `${QUERY}${parameter}`,
    'host: 169.254.169.254',
    'connection: keep-alive',
    ...MSAL_NODE,
    'accept: */*',
    'accept-language: *',
    'sec-fetch-mode: cors',
    'user-agent: node',
    'accept-encoding: gzip, deflate',
  );
}

/** Go sorts the parameters of a query. */
function go(userAgent: string): (parameter: string) => string {
  return parameter => {
    const query = [...QUERY.split('&'), ...parameter.split('&').filter(Boolean)].toSorted().join('&');
    return get(query, HOST, `User-Agent: ${userAgent}`, METADATA, GO_TRANSPORT);
  };
}

function msalNet(parameter: string): string {
  return get(
    `${QUERY}${parameter}`,
    HOST,
    METADATA,
    'x-client-SKU: MSAL.NetCore',
    'x-client-Ver: 4.73.1.0',
    CLIENT_REQUEST_ID,
  );
}

function azureIdentityPython(parameter: string): string {
  return get(`${UNENCODED_QUERY}${parameter}`, ...pythonRequests(AZSDK_PYTHON), METADATA);
}

function msalPython(parameter: string): string {
  return get(
    `${QUERY}${parameter}`,
    ...pythonRequests('python-requests/2.32.3'),
    METADATA,
    'x-client-SKU: MSAL.Python',
    'x-client-Ver: 1.34.0',
    CLIENT_REQUEST_ID,
  );
}

function msrestazure(parameter: string): string {
  const userAgent = 'python/3.11.2 (Linux-6.1.0-x86_64-with-glibc2.36) msrest/0.6.21 msrest_azure/0.6.4';
  const query = `resource=${ENCODED_VAULT}&api-version=2018-02-01${parameter}`;
  return get(query, ...pythonRequests(userAgent), METADATA);
}

function java(parameter: string): string {
  return get(
    `${QUERY}${parameter}`,
    METADATA,
    'User-Agent: azsdk-java-azure-identity/1.12.2 (17.0.12; Linux; 6.1.0)',
    ...HTTP_URL_CONNECTION,
  );
}

function javaHttpClient(parameter: string): string {
  return get(
    `${QUERY}${parameter}`,
    'Connection: Upgrade, HTTP2-Settings',
    'Content-Length: 0',
    HOST,
    'HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA',
    'Upgrade: h2c',
    'User-Agent: Java-http-client/17.0.10',
    METADATA,
  );
}

function hadoop(parameter: string): string {
  const [host, accept] = HTTP_URL_CONNECTION as [string, string];
  return get(
    `${QUERY}${parameter}`,
    METADATA,
    'Connection: close',
    'User-Agent: Java/1.8.0_422',
    host,
    accept,
  );
}

export const TOKEN_CLIENTS: readonly TokenClient[] = [
  {
    client: '@azure/identity 4.14.1',
    source:
      'captured; reading: managedIdentityCredential/index.js, and HttpClientWithRetries of @azure/msal-node',
    // Whatever msal-node reports, the credential takes for "unavailable".
    read: reader({ again: msalRetries, next: () => true }),
    withoutIdentity: 'next',
    whenDenied: 'next',
    whenUnavailable: 'again',
    requests: [
      ...variants(
        azureIdentityJs4,
        ['by client id', `&client_id=${app}`, app],
        ['by object id', `&object_id=${appObject}`, app],
        ['by resource id', `&msi_res_id=${encodedApp}`, app],
        ['by resource id, in the releases of 2024', `&mi_res_id=${encodedApp}`, app],
      ),
      {
        variant: 'after a service has refused a token',
        bytes: azureIdentityJs4(`&token_sha256_to_refresh=${'ab'.repeat(32)}&xms_cc=cp1%2Ccp2`),
        clientId: system,
      },
    ],
  },
  {
    client: '@azure/identity 3.4.2',
    source: 'captured; reading: dist/index.js of the package',
    read: reader({ again: statuses(404, 408, '5xx'), next: isBadRequest }),
    withoutIdentity: 'next',
    whenDenied: 'stop',
    whenUnavailable: 'again',
    requests: variants(
      azureIdentityJs('3.4.2'),
      ['by client id', `&client_id=${app}`, app],
      ['by resource id', `&msi_res_id=${encodedApp}`, app],
    ),
  },
  {
    client: '@azure/identity 2.1.0',
    source: 'captured; reading: dist/index.js of the package',
    read: reader({ again: statuses(404, 408, '5xx'), next: isBadRequest }),
    withoutIdentity: 'next',
    whenDenied: 'stop',
    whenUnavailable: 'again',
    requests: variants(
      azureIdentityJs('2.1.0'),
      ['by client id', `&client_id=${data}`, data],
      ['by resource id', `&msi_res_id=${encodedData}`, data],
    ),
  },
  {
    client: '@azure/msal-node 7.2.1',
    source: 'captured; reading: src/network/HttpClientWithRetries.ts',
    read: reader({ again: msalRetries }),
    withoutIdentity: 'stop',
    whenDenied: 'stop',
    whenUnavailable: 'again',
    requests: variants(
      msalNode,
      ['by client id', `&client_id=${app}`, app],
      ['by object id', `&object_id=${appObject}`, app],
      ['by resource id', `&msi_res_id=${encodedApp}`, app],
    ),
  },
  {
    client: 'azidentity (Go)',
    source: 'Azure/azure-sdk-for-go@6df3885 sdk/azidentity/managed_identity_client.go',
    read: reader({
      again: statuses(404, 410, 429, '5xx'),
      next: answer => isBadRequest(answer) || saysUnreachable(answer),
    }),
    withoutIdentity: 'next',
    whenDenied: 'stop',
    whenUnavailable: 'again',
    requests: variants(go('azsdk-go-azidentity/v1.8.0 (go1.23.4; linux)')),
  },
  {
    client: 'azidentity (Go), with a user-assigned identity',
    source: 'Azure/azure-sdk-for-go@6df3885 sdk/azidentity/managed_identity_client.go',
    read: reader({ again: statuses(404, 410, 429, '5xx'), next: saysUnreachable }),
    withoutIdentity: 'stop',
    whenDenied: 'stop',
    whenUnavailable: 'again',
    requests: variants(
      go('azsdk-go-azidentity/v1.8.0 (go1.23.4; linux)'),
      ['by client id', `client_id=${app}`, app],
      ['by object id', `object_id=${appObject}`, app],
      ['by resource id', `msi_res_id=${encodedApp}`, app],
    ).slice(1),
  },
  {
    client: 'MSAL Go',
    source: 'AzureAD/microsoft-authentication-library-for-go apps/managedidentity/managedidentity.go',
    read: reader({
      again: statuses(404, 410, 429, 500, 501, 502, 503, 504, 505, 506, 507, 508, 510, 511),
    }),
    withoutIdentity: 'stop',
    whenDenied: 'stop',
    whenUnavailable: 'again',
    requests: variants(go('Go-http-client/1.1'), ['by resource id', `msi_res_id=${encodedData}`, data]),
  },
  {
    client: 'go-autorest adal',
    source: 'Azure/go-autorest@33e12ab autorest/adal/token.go',
    read: reader({ again: statuses(404, 408, 410, 429, '5xx'), token: hasRemainingTime }),
    withoutIdentity: 'stop',
    whenDenied: 'stop',
    whenUnavailable: 'again',
    requests: variants(
      go('Go/go1.20.5 (amd64-linux) go-autorest/adal/v1.0.0'),
      ['by client id', `client_id=${app}`, app],
      ['by resource id', `mi_res_id=${encodedApp}`, app],
    ),
  },
  {
    client: 'MSAL.NET',
    source: 'AzureAD/microsoft-authentication-library-for-dotnet@39d2001 ImdsManagedIdentitySource.cs',
    read: reader({ again: msalRetries, token: isReadByMsalNet }),
    withoutIdentity: 'stop',
    whenDenied: 'stop',
    whenUnavailable: 'again',
    requests: variants(
      msalNet,
      ['by client id', `&client_id=${app}`, app],
      ['by object id', `&object_id=${appObject}`, app],
      ['by resource id', `&msi_res_id=${encodedApp}`, app],
    ),
  },
  {
    client: 'Azure.Identity (.NET)',
    source:
      'Azure/azure-sdk-for-net@0176b6c ImdsManagedIdentityProbeSource.cs, @00914ee ManagedIdentityClient.cs',
    read: reader({
      again: msalRetries,
      next: ({ status }) => status === 400 || status === 502 || status === 504,
      token: isReadByMsalNet,
    }),
    withoutIdentity: 'next',
    whenDenied: 'stop',
    whenUnavailable: 'again',
    requests: [
      ...variants(msalNet, ['by client id', `&client_id=${data}`, data]),
      {
        variant: 'by client id, in the releases before MSAL.NET did it',
        bytes: get(`${QUERY}&client_id=${app}`, HOST, METADATA, ...AZSDK_NET),
        clientId: app,
      },
    ],
  },
  {
    client: "azure-identity (Python, Debian's 1.13.0b2)",
    source: 'captured; reading: azure/identity/_credentials/imds.py of the package',
    read: reader({ again: statuses(404, 429, '5xx'), next: isBadRequest }),
    withoutIdentity: 'next',
    whenDenied: 'stop',
    whenUnavailable: 'again',
    requests: variants(
      azureIdentityPython,
      ['by client id', `&client_id=${app}`, app],
      ['by resource id that is not encoded', `&mi_res_id=${appResource}`, app],
    ),
  },
  {
    client: 'MSAL Python, azure-cli',
    source: 'AzureAD/microsoft-authentication-library-for-python@28fbf7c msal/managed_identity.py',
    read: reader({ token: hasRemainingTime }),
    withoutIdentity: 'stop',
    whenDenied: 'stop',
    whenUnavailable: 'stop',
    requests: [
      ...variants(
        msalPython,
        ['by client id', `&client_id=${app}`, app],
        ['by object id', `&object_id=${appObject}`, app],
        ['by resource id', `&msi_res_id=${encodedApp}`, app],
      ),
      {
        variant: 'of earlier releases',
        bytes: get(QUERY, ...pythonRequests('python-requests/2.31.0'), METADATA),
        clientId: system,
      },
    ],
  },
  {
    client: "msrestazure (Python, Debian's 0.6.4)",
    source: 'captured; reading: msrestazure/azure_active_directory.py of the package',
    read: reader({ again: statuses(404, 410, 429, '5xx') }),
    withoutIdentity: 'stop',
    whenDenied: 'stop',
    whenUnavailable: 'again',
    requests: variants(msrestazure, ['by client id', `&client_id=${app}`, app]),
  },
  {
    client: 'azure-identity (Java), over HttpURLConnection',
    source:
      'Azure/azure-sdk-for-java@0114699 IdentityClient.java, authenticateToIMDSEndpoint; JDK HttpURLConnection',
    read: reader({
      again: statuses(404, 410, 429, '5xx'),
      next: answer => isBadRequest(answer) || hasUnreachableReason(answer),
    }),
    withoutIdentity: 'next',
    whenDenied: 'stop',
    whenUnavailable: 'again',
    requests: variants(
      java,
      ['by client id', `&client_id=${app}`, app],
      ['by resource id', `&mi_res_id=${encodedApp}`, app],
    ),
  },
  {
    client: "an application with Java's java.net.http.HttpClient, which offers HTTP/2",
    source: 'captured with JDK 17 in public logs; openjdk/jdk Http1Request.java, Exchange.java',
    read: reader({}),
    withoutIdentity: 'stop',
    whenDenied: 'stop',
    whenUnavailable: 'stop',
    requests: variants(javaHttpClient, ['by client id', `&client_id=${app}`, app]),
  },
  {
    client: 'Hadoop ABFS',
    source:
      'apache/hadoop@043ab11 hadoop-azure AzureADAuthenticator.java; @0385812 ExponentialRetryPolicy.java',
    read: reader({ again: statuses(408, 500, 502, 503, 504), token: isReadByHadoop }),
    withoutIdentity: 'stop',
    whenDenied: 'stop',
    whenUnavailable: 'again',
    requests: [
      ...variants(hadoop),
      {
        variant: 'with an authority, past the cache',
        bytes: hadoop(
          `&authority=https%3A%2F%2Flogin.microsoftonline.com%2F11111111-1111-4111-8111-111111111111&client_id=${app}&bypass_cache=true`,
        ),
        clientId: app,
      },
    ],
  },
  {
    client: 'Microsoft.Azure.Services.AppAuthentication (.NET)',
    source: 'Azure/azure-sdk-for-net Microsoft.Azure.Services.AppAuthentication MsiAccessTokenProvider.cs',
    read: reader({ again: statuses(404, 429, '5xx') }),
    withoutIdentity: 'stop',
    whenDenied: 'stop',
    whenUnavailable: 'again',
    requests: [
      {
        variant: 'by client id, with a later api-version',
        bytes: get(`resource=${VAULT}&client_id=${app}&api-version=2019-11-01`, HOST, METADATA),
        clientId: app,
      },
    ],
  },
  {
    client: 'Microsoft.Data.SqlClient (.NET), early releases, which search the text',
    source: 'dotnet/SqlClient, managed identity provider',
    read: reader({ again: statuses(404, 429, '5xx'), token: hasCompactToken }),
    withoutIdentity: 'stop',
    whenDenied: 'stop',
    whenUnavailable: 'again',
    requests: [
      {
        variant: 'by object id',
        bytes: get(`resource=${VAULT}&object_id=${appObject}&api-version=2018-02-01`, HOST, METADATA),
        clientId: app,
      },
    ],
  },
  {
    client: 'curl',
    source: 'captured with curl 7.88.1, as in the samples of learn.microsoft.com',
    read: reader({}),
    withoutIdentity: 'stop',
    whenDenied: 'stop',
    whenUnavailable: 'stop',
    requests: [
      {
        variant: 'without a space in the header',
        bytes: get(UNENCODED_QUERY, HOST, 'User-Agent: curl/7.88.1', 'Accept: */*', 'Metadata:true'),
        clientId: system,
      },
    ],
  },
];
