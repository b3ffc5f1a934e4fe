import { DEFAULT_APP_IDENTITY } from '@msi-proxy/imds-emulator';
import type { RawAnswer } from '../support/raw-client.ts';
import {
  AZSDK_NET,
  AZSDK_PYTHON,
  azsdkJs,
  CLIENT_REQUEST_ID,
  ENCODED_VAULT,
  GO_TRANSPORT,
  head,
  HOST,
  pythonRequests,
  TOKEN_PATH,
  VAULT,
  type WireRequest,
} from './wire.ts';

/** A request by which a client finds out what is there: none has the header `Metadata`. */
export interface Probe extends WireRequest {
  /** What the client takes for the presence of what it looks for. */
  readonly finds: (answer: RawAnswer) => boolean;
  /** Whether it is to find it. */
  readonly expected: boolean;
}

const { clientId, resourceId } = DEFAULT_APP_IDENTITY;

const MSAL_NET = 'AzureAD/microsoft-authentication-library-for-dotnet@39d2001 src/client/…/ManagedIdentity';
const AZURE_IDENTITY_NET = 'Azure/azure-sdk-for-net@0176b6c ImdsManagedIdentityProbeSource.cs';

const anyAnswer = ({ status }: RawAnswer) => status >= 100;
const exactly400 = ({ status }: RawAnswer) => status === 400;
const unlessUnreachable = ({ status, body }: RawAnswer) => !(status === 403 && body.includes('unreachable'));
const anyErrorStatus = ({ status }: RawAnswer) => status >= 400;
const forAzureIdentityNet = ({ status, body }: RawAnswer) =>
  status === 400 && !body.includes('Identity not found');

function azureIdentityJs(version: string): string {
  return head(
    `GET ${TOKEN_PATH} HTTP/1.1`,
    'Accept: application/json',
    'Accept-Encoding: gzip,deflate',
    azsdkJs(version),
    CLIENT_REQUEST_ID,
    HOST,
    'Connection: keep-alive',
  );
}

function azureIdentityNet(parameter = ''): string {
  const query = `api-version=2018-02-01&resource=${ENCODED_VAULT}${parameter}`;
  return head(`GET ${TOKEN_PATH}?${query} HTTP/1.1`, HOST, ...AZSDK_NET);
}

function msalNet(pathAndQuery: string): string {
  return head(`GET ${pathAndQuery} HTTP/1.1`, HOST, CLIENT_REQUEST_ID);
}

export const PROBES: readonly Probe[] = [
  {
    client: '@azure/identity 4.14.1 (DefaultAzureCredential)',
    source: 'captured; reading: imdsMsi.js of the package',
    bytes: azureIdentityJs('4.14.1'),
    finds: unlessUnreachable,
    expected: true,
  },
  {
    client: '@azure/identity 3.4.2',
    source: 'captured; reading: dist/index.js of the package',
    bytes: azureIdentityJs('3.4.2'),
    finds: unlessUnreachable,
    expected: true,
  },
  {
    client: '@azure/identity 2.1.0',
    source: 'captured; reading: dist/index.js of the package',
    bytes: azureIdentityJs('2.1.0'),
    finds: unlessUnreachable,
    expected: true,
  },
  {
    client: 'azidentity (Go)',
    source: 'Azure/azure-sdk-for-go@6df3885 sdk/azidentity/managed_identity_client.go',
    bytes: head(
      `GET ${TOKEN_PATH} HTTP/1.1`,
      HOST,
      'User-Agent: azsdk-go-azidentity/v1.8.0 (go1.23.4; linux)',
      GO_TRANSPORT,
    ),
    finds: anyAnswer,
    expected: true,
  },
  {
    client: 'Azure.Identity (.NET)',
    source: AZURE_IDENTITY_NET,
    bytes: azureIdentityNet(),
    finds: forAzureIdentityNet,
    expected: true,
  },
  {
    client: 'Azure.Identity (.NET), by client id',
    source: AZURE_IDENTITY_NET,
    bytes: azureIdentityNet(`&client_id=${clientId}`),
    finds: forAzureIdentityNet,
    expected: true,
  },
  {
    client: 'Azure.Identity (.NET), by resource id in its own spelling',
    source: AZURE_IDENTITY_NET,
    bytes: azureIdentityNet(`&msi-res-id=${encodeURIComponent(resourceId)}`),
    finds: forAzureIdentityNet,
    expected: true,
  },
  {
    client: 'MSAL.NET, for the protocol of tokens',
    source: `${MSAL_NET}/ImdsManagedIdentitySource.cs`,
    bytes: msalNet(`${TOKEN_PATH}?api-version=2018-02-01`),
    finds: exactly400,
    expected: true,
  },
  {
    client: 'MSAL.NET, for the protocol of credentials',
    source: `${MSAL_NET}/ImdsManagedIdentitySource.cs`,
    bytes: msalNet('/metadata/identity/getplatformmetadata?cred-api-version=2.0'),
    finds: exactly400,
    expected: false,
  },
  {
    client: 'MSAL.NET, for the protocol of credentials, by resource id that is not encoded',
    source: `${MSAL_NET}/ImdsManagedIdentitySource.cs`,
    bytes: msalNet(`/metadata/identity/getplatformmetadata?cred-api-version=2.0&mi_res_id=${resourceId}`),
    finds: exactly400,
    expected: false,
  },
  {
    client: 'MSAL.NET, preview of the protocol of credentials',
    source:
      'AzureAD/microsoft-authentication-library-for-dotnet@39d2001 docs/msi_v2/vm_vmss_credential_probe.md',
    bytes: `${head(
      'POST /metadata/identity/credential?cred-api-version=1.0 HTTP/1.1',
      HOST,
      'Content-Length: 1',
    )}.`,
    finds: exactly400,
    expected: false,
  },
  {
    client: "azure-identity (Python, Debian's 1.13.0b2)",
    source: 'captured; reading: azure/identity/_credentials/imds.py of the package',
    bytes: head(
      `GET ${TOKEN_PATH}?api-version=2018-02-01&resource=${VAULT} HTTP/1.1`,
      ...pythonRequests(AZSDK_PYTHON),
    ),
    finds: anyErrorStatus,
    expected: true,
  },
  {
    client: "azure-identity (Python, Debian's 1.13.0b2), by resource id that is not encoded",
    source: 'captured; reading: azure/identity/_credentials/imds.py of the package',
    bytes: head(
      `GET ${TOKEN_PATH}?api-version=2018-02-01&resource=${VAULT}&mi_res_id=${resourceId} HTTP/1.1`,
      ...pythonRequests(AZSDK_PYTHON),
    ),
    finds: anyErrorStatus,
    expected: true,
  },
  {
    client: 'go-autorest adal',
    source: 'Azure/go-autorest@33e12ab autorest/adal/token.go',
    bytes: head(
      `GET ${TOKEN_PATH}?api-version=2018-02-01 HTTP/1.1`,
      HOST,
      'User-Agent: Go-http-client/1.1',
      GO_TRANSPORT,
    ),
    finds: anyAnswer,
    expected: true,
  },
];
