import { IMDS_ADDRESS, IMDS_PORT, type ErrorCode } from '@msi-proxy/shared';
import { ownRule, type Observation, type ScriptFailure } from './observation.ts';
import type { ForwardTarget } from './powershell-script.ts';

/** Why requests of a client do not reach the proxy, and whose matter it is. */
export interface Obstacle {
  readonly code: ErrorCode;
  /** Follows the client's name and a colon. */
  readonly reason: string;
}

/** For containers that cannot be forwarded at all; explained in docs/windows.md. */
export const OTHER_WAY =
  'set AZURE_POD_IDENTITY_AUTHORITY_HOST to the address of the proxy in this container instead';

/** The account of images whose commands may not change the network. */
const UNPRIVILEGED_USER = 'ContainerUser';

/** Windows' ERROR_ACCESS_DENIED as CIM cmdlets name it, and PowerShell's and .NET's own names. */
const ACCESS_DENIED = /\bSystem Error 5\b|AccessDenied|PermissionDenied|UnauthorizedAccess/i;

/** What stands between what was read and working forwarding; undefined when nothing does. */
export function obstacleTo(observation: Observation, target: ForwardTarget): Obstacle | undefined {
  const { failure, answer, user, changes } = observation;
  if (failure !== undefined) return failureObstacle(failure, observation, target);
  const reason = difference(observation, target);
  if (reason !== undefined && user === UNPRIVILEGED_USER) return withoutRights(user);
  if (ownRule(observation) === undefined && changes.includes('restart')) {
    return notApplicable(`netsh took no rule, so its image has no port proxy; ${OTHER_WAY}`);
  }
  if (reason !== undefined) return notEffective(reason);
  // Only the answer proves it: a rule is listed also when nothing serves it.
  if (answer === undefined) return notEffective(silence(observation));
  return answerObstacle(answer, target.instanceId);
}

/** What an answer to a request through the address of IMDS shows; undefined when it is as it should be. */
export function answerObstacle(answer: Observation['answer'], instanceId: string): Obstacle | undefined {
  if (answer === undefined) return notEffective(`a request from it to ${IMDS_ADDRESS} got no answer`);
  if (answer.instanceId === instanceId) return undefined;
  const who = answer.instanceId === '' ? 'not by a proxy' : 'by another proxy';
  return notEffective(`a request from it was answered ${who} (status ${answer.status})`);
}

/** What is left of the forwarding; undefined when nothing is. */
export function remainder({ addresses, failure, ...rest }: Observation): string | undefined {
  const parts: string[] = [];
  const why = failure === undefined ? '' : ` (${failure.step}: ${failure.message})`;
  // What follows then was not read, and tells nothing.
  if (failure?.step.startsWith('observe-') === true) return `what is left could not be read${why}`;
  if (ownRule({ addresses, ...rest }) !== undefined) parts.push('the rule of the port proxy');
  if (addresses.length > 0) parts.push(`the address ${IMDS_ADDRESS}`);
  if (parts.length === 0) return undefined;
  return `${parts.join(' and ')} could not be removed${why}`;
}

function failureObstacle(
  { step, message, id }: ScriptFailure,
  { user }: Observation,
  { address, port }: ForwardTarget,
): Obstacle {
  const at = `${step}: ${message}`;
  if (ACCESS_DENIED.test(id)) return withoutRights(user);
  switch (message) {
    case 'no-interface':
      return notEffective('none of its interfaces has the address that Docker tells');
    case 'duplicate':
      return {
        code: 'MSI_WIRING_DUPLICATE_ADDRESS',
        reason: `another container or machine on its network owns ${IMDS_ADDRESS}`,
      };
    case 'not-preferred':
      return notEffective(`the address ${IMDS_ADDRESS} did not become usable in time`);
    case 'no-service':
      return notApplicable(`its image has no service iphlpsvc, which forwards connections; ${OTHER_WAY}`);
    case 'no-netsh':
      return notApplicable(`its image has neither PowerShell nor netsh; ${OTHER_WAY}`);
    case 'proxy-unreachable':
      return {
        code: 'MSI_WIRING_PROXY_UNREACHABLE',
        reason: `it does not reach the proxy at ${address}:${port}: are both on the same NAT network?`,
      };
  }
  if (user === UNPRIVILEGED_USER) return withoutRights(user);
  if (id.startsWith('CommandNotFoundException')) {
    return notApplicable(`its image lacks a command that is needed (${at}); ${OTHER_WAY}`);
  }
  if (step === 'service') {
    return { code: 'MSI_WIRING_SERVICE', reason: `its service iphlpsvc could not be started: ${message}` };
  }
  return { code: 'MSI_WIRING_COMMAND', reason: `a command in it failed (${at}) [${id}]` };
}

/** Where what was read is not as it should be, in the order in which one thing rests on another. */
function difference(observation: Observation, { address, port }: ForwardTarget): string | undefined {
  const { addresses, interfaceIndex, service } = observation;
  const [entry, ...others] = addresses;
  if (interfaceIndex === undefined) return 'none of its interfaces has the address that Docker tells';
  if (entry === undefined) return `the address ${IMDS_ADDRESS} is missing`;
  if (others.length > 0 || entry.interfaceIndex !== interfaceIndex) {
    return `the address ${IMDS_ADDRESS} is not, or not only, on the interface of its network`;
  }
  if (entry.state !== 'Preferred' && entry.state !== 'localised') {
    return `the address ${IMDS_ADDRESS} is in state ${entry.state}`;
  }
  if (entry.prefixLength !== undefined && entry.prefixLength !== 32) {
    return `the address ${IMDS_ADDRESS} has a prefix of ${entry.prefixLength} bits`;
  }
  if (entry.skipAsSource === false) return `the address ${IMDS_ADDRESS} may be taken as a source address`;
  if (service !== 'running') return `its service iphlpsvc is ${service}`;
  const rule = ownRule(observation);
  if (rule === undefined) return 'the rule of the port proxy is missing';
  if (rule.connectAddress !== address || rule.connectPort !== port) {
    return `the rule of the port proxy leads to ${rule.connectAddress}:${rule.connectPort}`;
  }
  return undefined;
}

function silence({ listeners }: Observation): string {
  const place = `${IMDS_ADDRESS}:${IMDS_PORT}`;
  if (listeners.includes(IMDS_ADDRESS))
    return `a request to ${place} got no answer, although something listens there`;
  const taken = listeners.length === 0 ? '' : `; port ${IMDS_PORT} is taken on ${listeners.join(', ')}`;
  return `the rule of the port proxy is there, but nothing listens at ${place}${taken}`;
}

function withoutRights(user: string): Obstacle {
  const who = user === '' ? '' : ` (as ${user})`;
  return notApplicable(
    `commands in it run without the rights of ContainerAdministrator${who}, so that its network cannot be set; ${OTHER_WAY}`,
  );
}

function notEffective(reason: string): Obstacle {
  return { code: 'MSI_WIRING_NOT_EFFECTIVE', reason };
}

function notApplicable(reason: string): Obstacle {
  return { code: 'MSI_WIRING_NOT_APPLICABLE', reason };
}
