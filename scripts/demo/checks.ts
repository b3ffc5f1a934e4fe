import {
  instancePath,
  requestFrom,
  sdkTokenFrom,
  tokenClaims,
  tokenPath,
  type ImdsAnswer,
  type ImdsRequest,
  type SdkRequest,
  type SdkResult,
} from '../../test/lab/index.ts';
import {
  DEFAULT_APP_IDENTITY,
  DEFAULT_DATA_IDENTITY,
  DEFAULT_SYSTEM_IDENTITY,
} from '../../packages/imds-emulator/src/vm/default-vm.ts';
import { NAMES } from './names.ts';
import { type World } from './world.ts';

/** One promise and what came of it. */
export interface CheckResult {
  readonly container: string;
  readonly asksFor: string;
  readonly promised: string;
  readonly got: string;
  readonly elapsedMillis: number;
  readonly kept: boolean;
}

interface Check {
  readonly container: string;
  readonly asksFor: string;
  readonly promised: string;
  readonly ask: (
    world: World,
    container: string,
  ) => Promise<{ readonly got: string; readonly elapsedMillis: number }>;
}

const VAULT = 'https://vault.azure.net';
const MANAGEMENT = 'https://management.azure.com';
const NOT_GRANTED = 'no token: not granted';
const NOT_FOUND = 'no token: Identity not found';

const MAX_MESSAGE_LENGTH = 80;

const IDENTITY_NAMES: Readonly<Record<string, string>> = {
  [DEFAULT_SYSTEM_IDENTITY.clientId]: 'system',
  [DEFAULT_APP_IDENTITY.clientId]: DEFAULT_APP_IDENTITY.name,
  [DEFAULT_DATA_IDENTITY.clientId]: DEFAULT_DATA_IDENTITY.name,
};

const APP = `token of ${DEFAULT_APP_IDENTITY.name}`;
const SYSTEM = 'token of system';

const CHECKS: readonly Check[] = [
  curl(NAMES.orders, 'instance metadata', '200 vm-emulated', { path: instancePath('compute/name') }),
  curl(NAMES.orders, 'token for Key Vault', `200 ${APP}`, { path: tokenPath(VAULT) }),
  sdk(NAMES.orders, APP, { credential: 'managed-identity', resource: VAULT }),
  sdk(NAMES.orders, APP, { credential: 'default', resource: VAULT }),
  curl(NAMES.orders, 'token of another identity', '403', {
    path: tokenPath(VAULT, { client_id: DEFAULT_DATA_IDENTITY.clientId }),
  }),
  curl(NAMES.orders, 'token for another audience', '403', { path: tokenPath(MANAGEMENT) }),
  curl(NAMES.orders, 'user data', '403', {
    path: '/metadata/instance/compute/userData?api-version=2021-01-01&format=text',
  }),
  sdk(NAMES.reports, SYSTEM, { credential: 'managed-identity', resource: MANAGEMENT }),
  sdk(NAMES.reports, SYSTEM, { credential: 'default', resource: MANAGEMENT }),
  sdk(NAMES.reports, NOT_GRANTED, {
    credential: 'managed-identity',
    resource: MANAGEMENT,
    clientId: DEFAULT_APP_IDENTITY.clientId,
  }),
  curl(NAMES.unlabelled, 'instance metadata', '403', { path: instancePath('compute/name') }),
  curl(NAMES.unlabelled, 'token for Key Vault', '400 Identity not found', { path: tokenPath(VAULT) }),
  sdk(NAMES.unlabelled, NOT_FOUND, { credential: 'default', resource: VAULT }),
];

/** Asks for everything that the table shows, one after the other. */
export async function* runChecks(world: World): AsyncGenerator<CheckResult> {
  for (const { container, asksFor, promised, ask } of CHECKS) {
    const { got, elapsedMillis } = await ask(world, container);
    yield { container, asksFor, promised, got, elapsedMillis, kept: got === promised };
  }
}

function curl(container: string, what: string, promised: string, request: ImdsRequest): Check {
  return {
    container,
    asksFor: `${what} (curl)`,
    promised,
    ask: async ({ run }) => {
      const answer = await requestFrom(run, container, request);
      return { got: describeAnswer(answer), elapsedMillis: answer.elapsedMillis };
    },
  };
}

function sdk(container: string, promised: string, request: SdkRequest): Check {
  const credential =
    request.credential === 'default' ? 'DefaultAzureCredential' : 'ManagedIdentityCredential';
  const identity = request.clientId === undefined ? '' : IDENTITY_NAMES[request.clientId]!;
  return {
    container,
    asksFor: `${credential}(${identity})`,
    promised,
    ask: async ({ docker }) => {
      const result = await sdkTokenFrom(docker, container, request);
      return { got: describeResult(result), elapsedMillis: result.elapsedMillis };
    },
  };
}

function describeAnswer(answer: ImdsAnswer): string {
  const { status, body, failure } = answer;
  if (failure !== undefined) return `no answer (${failure})`;
  if (status === 200) return `200 ${body.startsWith('{') ? describeToken(tokenClaims(answer)) : body}`;
  return body.includes('Identity not found') ? `${status} Identity not found` : String(status);
}

function describeResult(result: SdkResult): string {
  if (result.ok) return describeToken(result.claims);
  const known = [NOT_GRANTED, NOT_FOUND].find(text =>
    result.message.includes(text.slice('no token: '.length)),
  );
  return known ?? `no token: ${result.message.slice(0, MAX_MESSAGE_LENGTH)}`;
}

function describeToken(claims: Readonly<Record<string, unknown>>): string {
  const id = String(claims['appid']);
  return `token of ${IDENTITY_NAMES[id] ?? id}`;
}
