import type { CommandRunner, Logger } from '@msi-proxy/shared';

export interface RouteOptions {
  readonly runner: CommandRunner;
  readonly logger: Logger;
}

/** `in-place`: it was there, and nothing was changed. */
export type RouteOutcome = 'added' | 'in-place';

/** The network to go through, by our own address in it. */
export interface WantedRoute {
  readonly address: string;
  readonly gateway: string;
  /** Whether 169.254.169.254 is, or will be, an address of this namespace itself. Linux only. */
  readonly holdsImdsAddress?: boolean;
}
