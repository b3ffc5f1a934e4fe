import type { RecordedRequest } from '../recorder/request-log.ts';
import { boolean, formatProblem, objectOf, type Decoded } from '../decode/decoder.ts';
import { parseFaultRules } from '../faults/parse-fault-rules.ts';
import type { FaultRule } from '../faults/fault-rule.ts';
import { json, type Reply } from '../http/reply.ts';
import { parseVirtualMachine } from '../vm/parse-vm.ts';
import type { VirtualMachine } from '../vm/virtual-machine.ts';

/** What happened on the emulator's sockets since it started. */
export interface EmulatorStats {
  readonly connections: number;
  readonly openConnections: number;
  /** Requests that could be read; the log keeps only the last ones. */
  readonly requests: number;
  /** All bytes that arrived, whether they made a request or not. */
  readonly bytesReceived: number;
}

/** What the control API can do with an emulator. */
export interface ControlledEmulator {
  readonly requests: readonly RecordedRequest[];
  readonly stats: EmulatorStats;
  readonly vm: VirtualMachine;
  readonly faults: readonly FaultRule[];
  readonly rateLimits: boolean;
  clearRequests(): void;
  setVm(vm: VirtualMachine): void;
  setFaults(rules: readonly FaultRule[]): void;
  setRateLimits(enabled: boolean): void;
}

type Handler = (emulator: ControlledEmulator, body: string) => Reply;

const parseRateLimits = objectOf<{ readonly enabled: boolean }>({ enabled: boolean });

const ROUTES: Readonly<Record<string, Readonly<Record<string, Handler>>>> = {
  '/healthz': {
    GET: () => json({ status: 'ok' }),
  },
  '/requests': {
    GET: emulator => json(emulator.requests),
    DELETE: emulator => {
      emulator.clearRequests();
      return json(emulator.requests);
    },
  },
  '/stats': {
    GET: emulator => json(emulator.stats),
  },
  '/faults': {
    GET: emulator => json(emulator.faults),
    PUT: (emulator, body) =>
      withDocument(body, parseFaultRules, rules => {
        emulator.setFaults(rules);
        return json(emulator.faults);
      }),
    DELETE: emulator => {
      emulator.setFaults([]);
      return json(emulator.faults);
    },
  },
  '/vm': {
    GET: emulator => json(emulator.vm),
    PUT: (emulator, body) =>
      withDocument(body, parseVirtualMachine, vm => {
        emulator.setVm(vm);
        return json(emulator.vm);
      }),
  },
  '/rate-limits': {
    GET: emulator => json({ enabled: emulator.rateLimits }),
    PUT: (emulator, body) =>
      withDocument(
        body,
        document => parseRateLimits(document, ''),
        ({ enabled }) => {
          emulator.setRateLimits(enabled);
          return json({ enabled: emulator.rateLimits });
        },
      ),
  },
};

/** Answers a request to the control API. */
export function answerControl(
  emulator: ControlledEmulator,
  { method, path, body }: { readonly method: string; readonly path: string; readonly body: string },
): Reply {
  const route = Object.hasOwn(ROUTES, path) ? ROUTES[path] : undefined;
  if (route === undefined) {
    return json({ error: `no such path; there are ${Object.keys(ROUTES).join(', ')}` }, 404);
  }
  const handler = Object.hasOwn(route, method) ? route[method] : undefined;
  if (handler === undefined) {
    return json({ error: `${path} takes ${Object.keys(route).join(', ')}` }, 405);
  }
  return handler(emulator, body);
}

function withDocument<T>(
  body: string,
  parse: (document: unknown) => Decoded<T>,
  use: (value: T) => Reply,
): Reply {
  let document: unknown;
  try {
    document = JSON.parse(body);
  } catch {
    return json({ error: 'the body is not JSON' }, 400);
  }
  const decoded = parse(document);
  if (!decoded.ok) {
    const error = decoded.problems.map(formatProblem).join('; ');
    return json({ error, problems: decoded.problems }, 400);
  }
  return use(decoded.value);
}
