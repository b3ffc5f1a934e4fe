import type * as AzureIdentity from '@azure/identity';
import type { SdkRequest } from '../../lab/index.ts';

interface Token {
  readonly token: string;
  readonly expiresOn: Date;
}

type TokenSource = () => Promise<Token>;

/** What the releases from 2 on have in common. */
type AzureIdentityLibrary = Pick<
  typeof AzureIdentity,
  'ChainedTokenCredential' | 'DefaultAzureCredential' | 'ManagedIdentityCredential'
>;

// Only the one that is used is loaded.
const LIBRARIES: Readonly<Record<string, (request: SdkRequest) => Promise<TokenSource>>> = {
  '@azure/identity 4': async request => fromCredential(await import('@azure/identity'), request),
  '@azure/identity 3': async request =>
    fromCredential((await import('azure-identity-3')) as unknown as AzureIdentityLibrary, request),
  '@azure/identity 2': async request =>
    fromCredential((await import('azure-identity-2')) as unknown as AzureIdentityLibrary, request),
  '@azure/msal-node': fromMsal,
};

/** How the library that a request names is asked for a token. */
export async function tokenSource(request: SdkRequest): Promise<TokenSource> {
  const library = LIBRARIES[request.library ?? ''];
  if (library === undefined) {
    const expected = Object.keys(LIBRARIES).join('", "');
    throw new Error(`library is "${String(request.library)}": expected one of "${expected}"`);
  }
  return await library(request);
}

function fromCredential(library: AzureIdentityLibrary, request: SdkRequest): TokenSource {
  const credential = credentialOf(library, request);
  return async () => {
    const token = await credential.getToken(`${request.resource}/.default`);
    if (token === null) throw new Error('the credential gave no token');
    return { token: token.token, expiresOn: new Date(token.expiresOnTimestamp) };
  };
}

function credentialOf(
  library: AzureIdentityLibrary,
  { credential, clientId, resourceId }: SdkRequest,
): AzureIdentity.TokenCredential {
  const managedIdentity = () => {
    if (clientId !== undefined) return new library.ManagedIdentityCredential({ clientId });
    if (resourceId !== undefined) return new library.ManagedIdentityCredential({ resourceId });
    return new library.ManagedIdentityCredential();
  };
  switch (credential) {
    case 'managed-identity':
      return managedIdentity();
    case 'default':
      return new library.DefaultAzureCredential({
        ...(clientId !== undefined && { managedIdentityClientId: clientId }),
        ...(resourceId !== undefined && { managedIdentityResourceId: resourceId }),
      } as AzureIdentity.DefaultAzureCredentialOptions);
    case 'chained':
      return new library.ChainedTokenCredential(managedIdentity(), lastCredential);
  }
}

const lastCredential: AzureIdentity.TokenCredential = {
  getToken: () => {
    const claims = Buffer.from(JSON.stringify({ sub: 'last-credential' })).toString('base64url');
    return Promise.resolve({ token: `e30.${claims}.`, expiresOnTimestamp: Date.now() + 3_600_000 });
  },
};

async function fromMsal({ resource, clientId, resourceId }: SdkRequest): Promise<TokenSource> {
  const { ManagedIdentityApplication } = await import('@azure/msal-node');
  const application = new ManagedIdentityApplication({
    managedIdentityIdParams: {
      ...(clientId !== undefined && { userAssignedClientId: clientId }),
      ...(resourceId !== undefined && { userAssignedResourceId: resourceId }),
    },
  });
  return async () => {
    const { accessToken, expiresOn } = await application.acquireToken({ resource });
    return { token: accessToken, expiresOn: expiresOn ?? new Date(0) };
  };
}
