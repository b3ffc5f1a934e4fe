import { DEFAULT_APP_IDENTITY, DEFAULT_SYSTEM_IDENTITY } from '@msi-proxy/imds-emulator';
import { isBadRequest, reader, statuses } from './outcomes.ts';
import type { TokenClient } from './token-requests.ts';
import {
  AZSDK_PYTHON,
  azsdkJs,
  CLIENT_REQUEST_ID,
  ENCODED_VAULT,
  GO_TRANSPORT,
  head,
  HOST,
  METADATA,
  pythonRequests,
} from './wire.ts';

/** The path of the older VM extension; also what SDKs ask when `MSI_ENDPOINT` says so, for Azure's Cloud Shell. */
const PATH = '/oauth2/token';
const FORM = `resource=${ENCODED_VAULT}`;
const FORM_TYPE = 'application/x-www-form-urlencoded';

const system = DEFAULT_SYSTEM_IDENTITY.clientId;
const { clientId: app, resourceId: appResource } = DEFAULT_APP_IDENTITY;

function post(body: string, ...headers: readonly string[]): string {
  return head(`POST ${PATH} HTTP/1.1`, ...headers) + body;
}

function azureIdentityJs(version: string): string {
  return post(
    FORM,
    'Accept: application/json',
    METADATA,
    `Content-Type: ${FORM_TYPE}`,
    'Accept-Encoding: gzip,deflate',
    azsdkJs(version),
    CLIENT_REQUEST_ID,
    `Content-Length: ${FORM.length}`,
    HOST,
    'Connection: keep-alive',
  );
}

function python(body: string, userAgent?: string): string {
  return post(
    body,
    ...pythonRequests(userAgent),
    METADATA,
    `Content-Length: ${body.length}`,
    `Content-Type: ${FORM_TYPE}`,
  );
}

/** Clients that were told `MSI_ENDPOINT=http://169.254.169.254/oauth2/token`. */
export const VM_EXTENSION_CLIENTS: readonly Pick<TokenClient, 'client' | 'source' | 'read' | 'requests'>[] = [
  {
    client: "msrestazure (Python, Debian's 0.6.4)",
    source: 'captured; reading: msrestazure/azure_active_directory.py of the package, get_msi_token',
    read: reader({}),
    requests: [
      { variant: 'system-assigned', bytes: python(FORM), clientId: system },
      { variant: 'by client id', bytes: python(`${FORM}&client_id=${app}`), clientId: app },
      {
        variant: 'by resource id',
        bytes: python(`${FORM}&msi_res_id=${encodeURIComponent(appResource)}`),
        clientId: app,
      },
    ],
  },
  {
    client: "azure-identity (Python, Debian's 1.13.0b2)",
    source: 'captured',
    read: reader({ again: statuses(404, 429, '5xx') }),
    requests: [
      { variant: 'system-assigned', bytes: python(FORM, AZSDK_PYTHON), clientId: system },
      { variant: 'by client id', bytes: python(`${FORM}&client_id=${app}`, AZSDK_PYTHON), clientId: app },
    ],
  },
  {
    client: '@azure/identity 4.14.1',
    source: 'captured',
    read: reader({ again: statuses('5xx'), next: () => true }),
    requests: [
      {
        variant: 'system-assigned',
        bytes: post(
          FORM,
          METADATA,
          `Content-Type: ${FORM_TYPE};charset=utf-8`,
          'Accept-Encoding: gzip,deflate',
          azsdkJs('4.14.1'),
          CLIENT_REQUEST_ID,
          `Content-Length: ${FORM.length}`,
          HOST,
          'Connection: keep-alive',
        ),
        clientId: system,
      },
    ],
  },
  ...['3.4.2', '2.1.0'].map(version => ({
    client: `@azure/identity ${version}`,
    source: 'captured',
    read: reader({ again: statuses(404, 408, '5xx'), next: isBadRequest }),
    requests: [{ variant: 'system-assigned', bytes: azureIdentityJs(version), clientId: system }],
  })),
  {
    client: '@azure/msal-node 7.2.1',
    source: 'captured',
    read: reader({ again: statuses('5xx') }),
    requests: [
      {
        variant: 'system-assigned',
        bytes: post(
          FORM,
          'host: 169.254.169.254',
          'connection: keep-alive',
          METADATA,
          `Content-Type: ${FORM_TYPE};charset=utf-8`,
          'accept: */*',
          'accept-language: *',
          'sec-fetch-mode: cors',
          'user-agent: node',
          'accept-encoding: gzip, deflate',
          `content-length: ${FORM.length}`,
        ),
        clientId: system,
      },
    ],
  },
  {
    client: 'a program of the time of the extension, with GET',
    source: 'MicrosoftDocs/azure-docs@064d39c managed-service-identity/how-to-use-vm-token.md (Go sample)',
    read: reader({}),
    requests: [
      {
        variant: 'system-assigned',
        bytes: head(
          `GET ${PATH}?resource=${ENCODED_VAULT} HTTP/1.1`,
          HOST,
          'User-Agent: Go-http-client/1.1',
          METADATA,
          GO_TRANSPORT,
        ),
        clientId: system,
      },
    ],
  },
];
