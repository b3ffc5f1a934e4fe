import type { Observation } from './observation.ts';
import type { ForwardTarget } from './powershell-script.ts';

/** One way to set up the forwarding inside a client. Each returns `undefined` when the client does not have this shell. */
export interface ForwardingShell {
  /** Makes the forwarding true, and reads back what is there then. */
  ensure(clientAddress: string, target: ForwardTarget): Promise<Observation | undefined>;
  /** Takes the forwarding away, and reads back what is left. */
  remove(clientAddress: string): Promise<Observation | undefined>;
}
