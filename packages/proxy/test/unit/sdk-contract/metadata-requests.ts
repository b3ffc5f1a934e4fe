import type { EndpointGroup } from '@msi-proxy/shared';
import type { RawAnswer } from '../support/raw-client.ts';
import {
  CLIENT_REQUEST_ID,
  GO_TRANSPORT,
  head,
  HOST,
  METADATA,
  pythonRequests,
  type WireRequest,
} from './wire.ts';

/** A request for something else than a token. */
export interface MetadataRequest extends WireRequest {
  /** What the client reads in the answer. */
  readonly needs: (answer: RawAnswer) => boolean;
  /** What has to be granted besides the defaults. */
  readonly group?: EndpointGroup;
}

const MSAL_NET = 'AzureAD/microsoft-authentication-library-for-dotnet@39d2001';

function get(target: string, ...headers: readonly string[]): string {
  return head(`GET ${target} HTTP/1.1`, HOST, ...headers);
}

function json({ body }: RawAnswer): Record<string, unknown> {
  return JSON.parse(body) as Record<string, unknown>;
}

function isText({ status, headers, body }: RawAnswer): boolean {
  return status === 200 && (headers['content-type'] ?? '').startsWith('text/plain') && body !== '';
}

export const METADATA_REQUESTS: readonly MetadataRequest[] = [
  {
    client: 'MSAL.NET, region discovery',
    source: `${MSAL_NET} RegionAndMtlsDiscoveryProvider.cs`,
    bytes: get('/metadata/instance/compute?api-version=2021-02-01', METADATA),
    needs: answer => typeof json(answer)['location'] === 'string',
  },
  {
    client: 'MSAL.NET, older region discovery',
    source: `${MSAL_NET} RegionAndMtlsDiscoveryProvider.cs`,
    bytes: get('/metadata/instance/compute/location?api-version=2020-06-01&format=text', METADATA),
    needs: isText,
  },
  {
    client: 'MSAL.NET, looking for the newest api-version',
    source: `${MSAL_NET} RegionAndMtlsDiscoveryProvider.cs; msal-common RegionDiscovery.ts`,
    bytes: get('/metadata/instance/compute/location', METADATA),
    needs: answer => answer.status === 400 && Array.isArray(json(answer)['newest-versions']),
  },
  {
    // With `Metadata`, so that it is not answered locally; any answer within 3 s means that IMDS is there.
    client: 'Microsoft.Azure.Services.AppAuthentication (.NET), looking for IMDS',
    source: 'Azure/azure-sdk-for-net Microsoft.Azure.Services.AppAuthentication MsiAccessTokenProvider.cs',
    bytes: get('/metadata/instance?api-version=2020-06-01', METADATA),
    needs: ({ status }) => status >= 100,
  },
  {
    client: 'cloud-init',
    source: 'canonical/cloud-init@05c5a15 cloudinit/sources/azure/imds.py',
    bytes: get(
      '/metadata/instance?api-version=2021-08-01&extended=true',
      ...pythonRequests('Cloud-Init/24.4').slice(1),
      METADATA,
      CLIENT_REQUEST_ID,
    ),
    needs: answer => json(answer)['compute'] !== undefined && json(answer)['network'] !== undefined,
  },
  {
    client: 'WALinuxAgent, with a capital True and an empty last segment',
    source: 'Azure/WALinuxAgent@03a1e8f azurelinuxagent/common/protocol/imds.py',
    bytes: get(
      '/metadata/instance/?api-version=2018-02-01',
      'Accept-Encoding: identity',
      'User-Agent: WALinuxAgent/2.11.1.4',
      'Metadata: True',
      'Connection: close',
    ),
    needs: answer => json(answer)['compute'] !== undefined && json(answer)['network'] !== undefined,
  },
  {
    client: 'WALinuxAgent, with a capital True',
    source: 'Azure/WALinuxAgent@03a1e8f azurelinuxagent/common/protocol/imds.py',
    bytes: get(
      '/metadata/instance/compute?api-version=2018-02-01',
      'Accept-Encoding: identity',
      'User-Agent: WALinuxAgent/2.11.1.4',
      'Metadata: True',
      'Connection: close',
    ),
    needs: answer => typeof json(answer)['vmId'] === 'string',
  },
  {
    client: 'systemd-imdsd',
    source: 'systemd/systemd pull request 40980',
    bytes: get(
      '/metadata/instance/network/interface/0/ipv4/ipAddress/0/privateIpAddress?api-version=2025-04-07&format=text',
      'Accept: */*',
      METADATA,
    ),
    needs: isText,
  },
  {
    client: 'a look at the versions, without any',
    source: 'MicrosoftDocs/azure-compute-docs@1dc6d3b instance-metadata-service.md',
    bytes: get('/metadata/versions', 'User-Agent: curl/7.88.1', 'Accept: */*', METADATA),
    needs: answer => Array.isArray(json(answer)['apiVersions']),
  },
  {
    client: 'a check of the tenant',
    source: 'MicrosoftDocs/azure-compute-docs@1dc6d3b instance-metadata-service.md',
    bytes: get('/metadata/identity/info?api-version=2018-02-01', METADATA),
    needs: answer => typeof json(answer)['tenantId'] === 'string',
  },
  {
    client: 'a look at the load balancer',
    source: 'MicrosoftDocs/azure-docs articles/load-balancer/howto-load-balancer-imds.md',
    bytes: get('/metadata/loadbalancer?api-version=2020-10-01&format=json', METADATA),
    needs: answer => json(answer)['loadbalancer'] !== undefined,
  },
  {
    client: 'a check of attested data',
    source: 'MicrosoftDocs/azure-compute-docs@1dc6d3b instance-metadata-service.md',
    bytes: get('/metadata/attested/document?api-version=2020-09-01&nonce=1234567890', 'Metadata:True'),
    needs: answer => json(answer)['encoding'] === 'pkcs7',
    group: 'attested',
  },
  {
    client: 'a poll of scheduled events (Go)',
    source: 'MicrosoftDocs/azure-compute-docs@1dc6d3b linux/scheduled-events.md',
    bytes: get(
      '/metadata/scheduledevents?api-version=2020-07-01',
      'User-Agent: Go-http-client/1.1',
      METADATA,
      GO_TRANSPORT,
    ),
    needs: answer => Array.isArray(json(answer)['Events']),
    group: 'scheduledevents',
  },
];
