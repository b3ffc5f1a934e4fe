import type { IncomingHttpHeaders } from 'node:http';
import type { Reply } from '../http/reply.ts';
import type { RequestTarget } from '../http/request-target.ts';

/** Parts of IMDS, as faults and recorded requests name them. */
export const CATEGORIES = [
  'versions',
  'instance',
  'attested',
  'identity-info',
  'token',
  'credential',
  'scheduledevents',
  'loadbalancer',
  'reprovisiondata',
  'vm-extension',
  'unknown',
] as const;

export type Category = (typeof CATEGORIES)[number];

/** IMDS has two shapes of error bodies: `{error, error_description}` below /metadata/identity, `{error}` elsewhere. */
export type ImdsErrorShape = 'identity' | 'instance';

/** The VM extension has the shape of `identity`, with codes of its own. */
export type ErrorShape = ImdsErrorShape | 'vm-extension';

export interface IncomingRequest {
  readonly method: string;
  readonly target: RequestTarget;
  readonly headers: IncomingHttpHeaders;
  readonly readBody: () => Promise<string>;
}

/** What answers a request, and in which shape its errors are. */
export interface Route {
  readonly category: Category;
  readonly errorShape: ErrorShape;
  readonly answer: (request: IncomingRequest) => Promise<Reply>;
}

/** Finds what answers a target; there is always something, if only a refusal. */
export type Router = (target: RequestTarget) => Route;

/** A request that passed the checks which all endpoints share. */
export interface MetadataRequest {
  readonly method: string;
  /** What follows the endpoint's own path. */
  readonly rest: readonly string[];
  readonly query: ReadonlyMap<string, string>;
  /** Empty for endpoints without versions. */
  readonly apiVersion: string;
  readonly readBody: () => Promise<string>;
}

export interface Endpoint {
  readonly category: Category;
  readonly errorShape: ImdsErrorShape;
  readonly methods: readonly string[];
  /** Absent for endpoints that take no `api-version`. */
  readonly versions?: {
    readonly supported: readonly string[];
    /** First version that has the endpoint. */
    readonly since: string;
  };
  /** Whether paths below the endpoint's own are its parts. */
  readonly hasParts?: boolean;
  /** Whether requests are answered without `Metadata` too. */
  readonly takesAnyHeaders?: boolean;
  readonly handle: (request: MetadataRequest) => Reply | Promise<Reply>;
}
