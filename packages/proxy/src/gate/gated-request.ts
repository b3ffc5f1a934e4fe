import type { EndpointGroup } from '@msi-proxy/shared';
import type { ErrorShape } from '@msi-proxy/shared/http';

/** What a path means. `versions` is open to every client; `ready` is answered by the proxy itself. */
export interface Endpoint {
  readonly group: EndpointGroup | 'versions' | 'ready';
  readonly errorShape: ErrorShape;
}

/** A query parameter as it reads decoded. */
export interface Parameter {
  readonly name: string;
  readonly value: string;
}

/** The same, also as it was sent. */
export interface QueryParameter extends Parameter {
  readonly rawName: string;
  readonly rawValue: string;
}

/** A request that the gate let through: canonical, of a known endpoint, with the headers that IMDS demands. */
export interface GatedRequest {
  readonly method: 'GET' | 'HEAD' | 'POST';
  /** Path and query as they are sent upstream: exactly as received, or those that mean the same to IMDS. */
  readonly target: string;
  readonly path: string;
  readonly query: readonly QueryParameter[];
  readonly endpoint: Endpoint;
  /** Of a POST; 0 otherwise. */
  readonly contentLength: number;
}
