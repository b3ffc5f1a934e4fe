import type { Category } from '../routes/endpoint.ts';

/** What goes wrong with an answer. */
export type Fault =
  /** Only `delayMillis`. */
  | { readonly fault: 'delay' }
  /** Another answer. Without `body`, one in the error shape of the category. */
  | {
      readonly fault: 'status';
      readonly status: number;
      readonly body?: string;
      readonly headers?: Readonly<Record<string, string>>;
    }
  /** No answer, the connection stays open. */
  | { readonly fault: 'hang' }
  /** A TCP reset after this many bytes of the answer, counted from the status line. */
  | { readonly fault: 'reset'; readonly afterBytes: number }
  /** An orderly end of the connection after this many bytes of the body; without, after half of it. */
  | { readonly fault: 'truncate'; readonly bodyBytes?: number }
  /** The answer in small pieces. */
  | { readonly fault: 'drip'; readonly bytesPerWrite: number; readonly intervalMillis: number }
  /** The HTML page of the web server in front of IMDS. */
  | { readonly fault: 'front-door-page' };

/** Which answers a fault befalls: the first rule that matches an answer is used. */
export type FaultRule = Fault & {
  readonly category?: Category;
  /** Compared with the path as the request has it, without case. */
  readonly pathPrefix?: string;
  /** Before anything is sent. */
  readonly delayMillis?: number;
  /** The rule is gone after this many answers. */
  readonly times?: number;
  /** The rule is gone this long after it was set. */
  readonly forMillis?: number;
};
