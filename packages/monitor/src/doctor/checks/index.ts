import type { Check } from '../check.ts';
import { callerCheck } from './caller.ts';
import { clientsCheck } from './clients.ts';
import { containerCheck } from './container.ts';
import { containersCheck } from './containers.ts';
import { engineVersionCheck } from './engine-version.ts';
import { engineCheck } from './engine.ts';
import { firewallCheck } from './firewall.ts';
import { guardCheck } from './guard.ts';
import { clientLabelCheck, policyLabelsCheck } from './labels.ts';
import { monitorCheck } from './monitor.ts';
import { neighboursCheck } from './neighbours.ts';
import { networkCheck } from './network.ts';
import { proxyCheck } from './proxy.ts';
import { requestCheck } from './request.ts';
import { rightsCheck } from './rights.ts';
import { rulesCheck } from './rules.ts';
import { sharersCheck } from './sharers.ts';
import { imdsCheck, proxyRouteCheck, proxyServerCheck } from './upstream.ts';
import { verdictCheck } from './verdict.ts';
import { wiringCheck } from './wiring.ts';
import { witnessCheck } from './witness.ts';

/** In the order in which they are asked: what others rest on comes first. */
export const CHECKS: readonly Check[] = [
  engineCheck,
  engineVersionCheck,
  containersCheck,
  rightsCheck,
  monitorCheck,
  proxyCheck,
  proxyServerCheck,
  proxyRouteCheck,
  imdsCheck,
  guardCheck,
  firewallCheck,
  clientsCheck,
  witnessCheck,
  containerCheck,
  clientLabelCheck,
  policyLabelsCheck,
  networkCheck,
  sharersCheck,
  wiringCheck,
  callerCheck,
  rulesCheck,
  requestCheck,
  verdictCheck,
  neighboursCheck,
];
