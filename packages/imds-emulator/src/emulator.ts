import { silentLogger, systemClock, type Clock, type HostPort, type Logger } from '@msi-proxy/shared';
import type { ControlledEmulator, EmulatorStats } from './control/control-routes.ts';
import { ControlServer } from './control/control-server.ts';
import { FaultPlan } from './faults/fault-plan.ts';
import type { FaultRule } from './faults/fault-rule.ts';
import { MetadataServer } from './metadata-server.ts';
import { RateLimiter } from './rate-limits/rate-limiter.ts';
import { ByteTap } from './recorder/byte-tap.ts';
import { RequestLog, type RecordedRequest } from './recorder/request-log.ts';
import { createEndpoints } from './routes/endpoints.ts';
import type { EndpointTable } from './routes/router.ts';
import { DEFAULT_VM } from './vm/default-vm.ts';
import type { VirtualMachine } from './vm/virtual-machine.ts';

export interface EmulatorOptions {
  readonly vm?: VirtualMachine;
  readonly clock?: Clock;
  readonly logger?: Logger;
  /** Whether Azure's rate limits apply. */
  readonly rateLimits?: boolean;
  readonly tokenLifetimeSeconds?: number;
  /** How long the first request for scheduled events takes. */
  readonly scheduledEventsEnableMillis?: number;
}

export interface EmulatorAddresses {
  readonly listen: HostPort;
  /** Without it there is no control API; the methods of {@link Emulator} do the same. */
  readonly controlListen?: HostPort;
}

/** An emulated IMDS. */
export interface Emulator extends ControlledEmulator, AsyncDisposable {
  /**
   * Starts listening, once.
   *
   * @returns the addresses, with the ports that were given where 0 was asked for
   * @throws {MsiProxyError} `MSI_LISTEN_FAILED`
   */
  start(addresses: EmulatorAddresses): Promise<EmulatorAddresses>;
  /** Ends every connection and frees the addresses. An emulator cannot be started again. */
  stop(): Promise<void>;
}

const DAY_SECONDS = 86_400;

/** Creates an emulator. Nothing is opened before it is started. */
export function createEmulator(options: EmulatorOptions = {}): Emulator {
  return new ImdsEmulator(options);
}

class ImdsEmulator implements Emulator {
  readonly #options: Required<Omit<EmulatorOptions, 'vm' | 'rateLimits'>>;
  readonly #faults: FaultPlan;
  readonly #limiter: RateLimiter;
  readonly #requests = new RequestLog();
  readonly #tap = new ByteTap();
  readonly #metadataServer: MetadataServer;
  readonly #controlServer: ControlServer;
  #vm: VirtualMachine;
  #endpoints: EndpointTable;
  #stopped: Promise<void> | undefined;

  constructor({ vm = DEFAULT_VM, rateLimits = false, ...options }: EmulatorOptions) {
    this.#options = {
      clock: systemClock,
      logger: silentLogger,
      tokenLifetimeSeconds: DAY_SECONDS,
      scheduledEventsEnableMillis: 0,
      ...options,
    };
    const { clock, logger } = this.#options;
    this.#vm = vm;
    this.#endpoints = createEndpoints({ ...this.#options, vm });
    this.#faults = new FaultPlan(clock);
    this.#limiter = new RateLimiter({ clock, enabled: rateLimits });
    this.#metadataServer = new MetadataServer({
      endpoints: () => this.#endpoints,
      faults: this.#faults,
      limiter: this.#limiter,
      requests: this.#requests,
      tap: this.#tap,
      clock,
      logger,
    });
    this.#controlServer = new ControlServer({ emulator: this, logger });
  }

  async start({ listen, controlListen }: EmulatorAddresses): Promise<EmulatorAddresses> {
    try {
      const address = await this.#metadataServer.start(listen);
      if (controlListen === undefined) return { listen: address };
      return { listen: address, controlListen: await this.#controlServer.start(controlListen) };
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  stop(): Promise<void> {
    this.#stopped ??= Promise.all([this.#controlServer.stop(), this.#metadataServer.stop()]).then(() => {});
    return this.#stopped;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  get requests(): readonly RecordedRequest[] {
    return this.#requests.entries;
  }

  clearRequests(): void {
    this.#requests.clear();
  }

  get stats(): EmulatorStats {
    return {
      connections: this.#tap.connections,
      openConnections: this.#tap.openConnections,
      requests: this.#requests.total,
      bytesReceived: this.#tap.bytesReceived,
    };
  }

  get vm(): VirtualMachine {
    return this.#vm;
  }

  /** Replaces the VM; cached tokens and acknowledged events are those of the old one and are forgotten. */
  setVm(vm: VirtualMachine): void {
    this.#vm = vm;
    this.#endpoints = createEndpoints({ ...this.#options, vm });
  }

  get faults(): readonly FaultRule[] {
    return this.#faults.rules;
  }

  setFaults(rules: readonly FaultRule[]): void {
    this.#faults.set(rules);
  }

  get rateLimits(): boolean {
    return this.#limiter.enabled;
  }

  setRateLimits(enabled: boolean): void {
    this.#limiter.setEnabled(enabled);
  }
}
