import type { Clock } from '@msi-proxy/shared';
import { isRecord } from '../decode/decoder.ts';
import { instanceError, json, type Reply } from '../http/reply.ts';
import type { ScheduledEvent } from '../vm/virtual-machine.ts';
import type { MetadataRequest } from './endpoint.ts';

interface State {
  readonly event: ScheduledEvent;
  readonly started: boolean;
}

/**
 * `/metadata/scheduledevents`. The first request switches the service on, which takes up to two minutes in Azure. An
 * acknowledged event is `Started`, for every VM that it names.
 */
export class ScheduledEvents {
  readonly #clock: Clock;
  readonly #enableMillis: number;
  #enabled: Promise<void> | undefined;
  #incarnation = 1;
  #states: readonly State[];

  constructor(options: {
    readonly events: readonly ScheduledEvent[];
    readonly clock: Clock;
    readonly enableMillis: number;
  }) {
    this.#clock = options.clock;
    this.#enableMillis = options.enableMillis;
    this.#states = options.events.map(event => ({ event, started: false }));
  }

  async answer(request: MetadataRequest): Promise<Reply> {
    await this.#enable();
    return request.method === 'POST' ? this.#acknowledge(await request.readBody()) : this.#list(request);
  }

  #enable(): Promise<void> {
    this.#enabled ??= new Promise(resolve => {
      if (this.#enableMillis === 0) resolve();
      else this.#clock.setTimer(resolve, this.#enableMillis);
    });
    return this.#enabled;
  }

  #list({ apiVersion }: MetadataRequest): Reply {
    return json({
      DocumentIncarnation: this.#incarnation,
      Events: this.#states.map(state => describe(state, apiVersion)),
    });
  }

  #acknowledge(body: string): Reply {
    const ids = readEventIds(body);
    const known = this.#states.map(({ event }) => event.eventId.toLowerCase());
    if (ids?.every(id => known.includes(id)) !== true) {
      return instanceError(400, 'Bad request. The body is malformed or names no scheduled event');
    }
    const acknowledged = ({ event }: State) => ids.includes(event.eventId.toLowerCase());
    if (this.#states.some(state => acknowledged(state) && !state.started)) this.#incarnation += 1;
    this.#states = this.#states.map(state => (acknowledged(state) ? { ...state, started: true } : state));
    return { status: 200, headers: {}, body: '' };
  }
}

/** Ids of `{"StartRequests":[{"EventId":"…"}]}`. The content type is not looked at: the documented curl says "form". */
function readEventIds(body: string): string[] | undefined {
  let document: unknown;
  try {
    document = JSON.parse(body);
  } catch {
    return undefined;
  }
  const requests = isRecord(document) ? document['StartRequests'] : undefined;
  if (!Array.isArray(requests) || requests.length === 0) return undefined;
  const ids = requests.map(request => (isRecord(request) ? request['EventId'] : undefined));
  return ids.every(id => typeof id === 'string') ? ids.map(id => id.toLowerCase()) : undefined;
}

function describe({ event, started }: State, apiVersion: string): Record<string, unknown> {
  return {
    EventId: event.eventId,
    EventStatus: started ? 'Started' : 'Scheduled',
    EventType: event.eventType,
    ResourceType: 'VirtualMachine',
    Resources: event.resources,
    NotBefore: started ? '' : event.notBefore,
    ...(apiVersion >= '2019-04-01' && { Description: event.description }),
    ...(apiVersion >= '2019-08-01' && { EventSource: event.eventSource }),
    ...(apiVersion >= '2020-07-01' && { DurationInSeconds: event.durationSeconds }),
  };
}
