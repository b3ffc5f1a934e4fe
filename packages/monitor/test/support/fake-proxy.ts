import {
  encodeMessage,
  MessageDecoder,
  MONITOR_MESSAGE_TYPES,
  type Caller,
  type Confirmed,
  type GivenToken,
  type MonitorMessage,
  type ProxyMessage,
  type Report,
  type SetRoute,
  type TokenSummary,
} from '@msi-proxy/shared';
import type { ExecProcess } from './fake-engine/index.ts';

interface Session {
  readonly process: ExecProcess;
  readonly id: string;
}

/** A proxy's end of the control session, as strict about the protocol as the real one. */
export class FakeProxy {
  readonly instanceId: string;
  readonly callers = new Map<string, Caller>();
  /** Every message in the order of its arrival, heartbeats aside. */
  readonly messages: MonitorMessage[] = [];
  /** What the monitor did against the protocol; tests look at it at their end. */
  readonly complaints: string[] = [];
  readonly routes: Pick<SetRoute, 'address' | 'gateway'>[] = [];
  role: 'serving' | 'standby' | undefined;
  /** What another proxy keeps, as it was told last. */
  followed: readonly GivenToken[] | undefined;
  /** Why `set-route` fails; it succeeds when there is no reason. */
  routeProblem: string | undefined;
  /** It says so in the report with which each session begins. */
  isDraining = false;
  /** What it keeps. */
  tokens: readonly TokenSummary[] = [];
  /** Acknowledgements wait while this is set. */
  holdsAcknowledgements = false;
  #session: Session | undefined;
  #revision: number | undefined;
  #held: number[] = [];
  #nextRequestId = 1;
  #hangs = false;
  readonly #questions = new Map<number, PromiseWithResolvers<Confirmed['result']>>();
  #pulse: NodeJS.Timeout | undefined;
  /** What still arrives from a session that has ended is nobody's fault. */
  readonly #ended = new WeakSet<ExecProcess>();

  readonly #pulseMillis: number;

  constructor(instanceId: string, { pulseMillis = 1_000 }: { readonly pulseMillis?: number } = {}) {
    this.instanceId = instanceId;
    this.#pulseMillis = pulseMillis;
  }

  get isConnected(): boolean {
    return this.#session !== undefined;
  }

  /** Carries out `msi-proxy control`. */
  accept(process: ExecProcess): void {
    const decoder = new MessageDecoder<MonitorMessage>(MONITOR_MESSAGE_TYPES);
    process.stdin.on('data', (chunk: Buffer) => {
      for (const message of decoder.push(chunk)) this.#handle(process, message);
    });
    process.stdin.once('end', () => {
      if (this.#session?.process === process) this.#leave();
      process.exit(0);
    });
  }

  /** The server has gone, and with it the command that relays to it. */
  endSession(): void {
    const session = this.#session;
    this.#leave();
    session?.process.exit(0);
  }

  /** Says nothing any more, and keeps everything open. */
  hang(): void {
    clearInterval(this.#pulse);
    this.#hangs = true;
  }

  report(report: Partial<Omit<Report, 'type'>>): void {
    this.#send({
      type: 'report',
      upstream: { state: 'answering' },
      draining: false,
      callers: [],
      ...report,
    });
  }

  async confirm(address: string): Promise<Confirmed['result']> {
    const requestId = this.#nextRequestId++;
    const question = Promise.withResolvers<Confirmed['result']>();
    this.#questions.set(requestId, question);
    this.#send({ type: 'confirm', requestId, address });
    return await question.promise;
  }

  releaseAcknowledgements(): void {
    this.holdsAcknowledgements = false;
    for (const revision of this.#held.splice(0)) this.#send({ type: 'ack', revision });
  }

  #handle(process: ExecProcess, message: MonitorMessage): void {
    if (message.type !== 'heartbeat') this.messages.push(message);
    if (message.type === 'hello') {
      this.#session?.process.exit(0);
      this.#leave();
      this.#session = { process, id: message.sessionId };
      this.#send({
        type: 'welcome',
        protocol: message.protocol,
        sessionId: message.sessionId,
        proxyVersion: '0.1.0',
        instanceId: this.instanceId,
        port: 80,
      });
      this.report({ draining: this.isDraining });
      this.#pulse = setInterval(
        () => this.#send({ type: 'heartbeat', sessionId: message.sessionId }),
        this.#pulseMillis,
      );
      this.#pulse.unref();
      return;
    }
    if (this.#ended.has(process)) return;
    if (this.#session?.process !== process) {
      this.complaints.push(`"${message.type}" before "hello"`);
      return;
    }
    switch (message.type) {
      case 'snapshot':
        this.callers.clear();
        for (const caller of message.callers) this.callers.set(caller.address, caller);
        this.#acknowledge(message.revision);
        return;
      case 'delta':
        if (this.#revision === undefined || message.revision !== this.#revision + 1) {
          this.complaints.push(`revision ${message.revision} after ${this.#revision ?? 'none'}`);
        }
        for (const address of message.removed) this.callers.delete(address);
        for (const caller of message.upserted) {
          const known = this.callers.get(caller.address);
          if (known !== undefined && runOf(known) !== runOf(caller)) {
            this.complaints.push(`${caller.address} changed hands without being removed first`);
          }
          this.callers.set(caller.address, caller);
        }
        this.#acknowledge(message.revision);
        return;
      case 'confirmed':
        this.#questions.get(message.requestId)?.resolve(message.result);
        return;
      case 'role':
        this.role = message.role;
        if (message.tokens !== undefined) this.followed = message.tokens;
        return;
      case 'set-route': {
        const { requestId, address, gateway } = message;
        this.routes.push({ address, gateway });
        const ok = this.routeProblem === undefined;
        this.#send({ type: 'route-set', requestId, ok, message: this.routeProblem ?? 'done' });
        return;
      }
      case 'witness':
        return;
      case 'heartbeat':
        if (message.sessionId !== this.#session.id) this.complaints.push('a heartbeat of another session');
        return;
      case 'list-tokens':
        this.#send({ type: 'tokens', tokens: this.tokens });
        return;
      case 'list-callers':
      case 'flush-tokens':
        this.complaints.push(`"${message.type}" from a monitor`);
    }
  }

  #acknowledge(revision: number): void {
    this.#revision = revision;
    if (this.holdsAcknowledgements) this.#held.push(revision);
    else this.#send({ type: 'ack', revision });
  }

  #send(message: ProxyMessage): void {
    if (!this.#hangs) this.#session?.process.stdout.write(encodeMessage(message));
  }

  #leave(): void {
    clearInterval(this.#pulse);
    if (this.#session !== undefined) this.#ended.add(this.#session.process);
    this.#session = undefined;
    this.#revision = undefined;
    this.#held = [];
  }
}

function runOf({ containerId, startedAt }: Caller): string {
  return `${containerId} ${startedAt}`;
}
