import { silentLogger, systemClock, type Clock, type HostPort, type Logger } from '@msi-proxy/shared';
import type { ControlledEmulator, EmulatorStats } from './control/control-routes.ts';
import { ControlServer } from './control/control-server.ts';
import { FaultPlan } from './faults/fault-plan.ts';
import type { FaultRule } from './faults/fault-rule.ts';
import { MetadataServer } from './metadata-server.ts';
import { RateLimiter } from './rate-limits/rate-limiter.ts';
import { ByteTap } from './recorder/byte-tap.ts';
import { RequestLog, type RecordedRequest } from './recorder/request-log.ts';
import { TokenIssuer } from './identity/token-issuer.ts';
import { createEndpoints } from './routes/endpoints.ts';
import type { Router } from './routes/endpoint.ts';
import { routerOf } from './routes/router.ts';
import { vmExtensionRouter } from './routes/vm-extension.ts';
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
  /** Of the VM extension, the older way to get tokens; without it there is none. */
  readonly vmExtensionListen?: HostPort;
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

interface Routers {
  readonly imds: Router;
  readonly vmExtension: Router;
}

class ImdsEmulator implements Emulator {
  readonly #options: Required<Omit<EmulatorOptions, 'vm' | 'rateLimits'>>;
  readonly #faults: FaultPlan;
  readonly #limiter: RateLimiter;
  readonly #requests = new RequestLog();
  readonly #tap = new ByteTap();
  readonly #metadataServer: MetadataServer;
  readonly #vmExtensionServer: MetadataServer;
  readonly #controlServer: ControlServer;
  #vm: VirtualMachine;
  #routers: Routers;
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
    this.#routers = this.#routersOf(vm);
    this.#faults = new FaultPlan(clock);
    this.#limiter = new RateLimiter({ clock, enabled: rateLimits });
    const shared = {
      faults: this.#faults,
      limiter: this.#limiter,
      requests: this.#requests,
      tap: this.#tap,
      clock,
      logger,
    };
    this.#metadataServer = new MetadataServer({ ...shared, router: () => this.#routers.imds });
    this.#vmExtensionServer = new MetadataServer({ ...shared, router: () => this.#routers.vmExtension });
    this.#controlServer = new ControlServer({ emulator: this, logger });
  }

  async start({ listen, controlListen, vmExtensionListen }: EmulatorAddresses): Promise<EmulatorAddresses> {
    try {
      return {
        listen: await this.#metadataServer.start(listen),
        ...(controlListen && { controlListen: await this.#controlServer.start(controlListen) }),
        ...(vmExtensionListen && {
          vmExtensionListen: await this.#vmExtensionServer.start(vmExtensionListen),
        }),
      };
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  stop(): Promise<void> {
    const servers = [this.#controlServer, this.#metadataServer, this.#vmExtensionServer];
    this.#stopped ??= Promise.all(servers.map(server => server.stop())).then(() => {});
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
    this.#routers = this.#routersOf(vm);
  }

  #routersOf(vm: VirtualMachine): Routers {
    const { clock, tokenLifetimeSeconds } = this.#options;
    // The extension caches by itself.
    const issuer = new TokenIssuer({ clock, lifetimeSeconds: tokenLifetimeSeconds });
    return {
      imds: routerOf(createEndpoints({ ...this.#options, vm })),
      vmExtension: vmExtensionRouter({ vm, issuer }),
    };
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
