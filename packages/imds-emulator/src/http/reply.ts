/** A complete answer. It is always sent with Content-Length: IMDS never answers chunked, and clients rely on it. */
export interface Reply {
  readonly status: number;
  /** Besides Server, Date and Content-Length, which every answer has. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export function json(document: unknown, status = 200): Reply {
  return {
    status,
    headers: { 'Content-Type': 'application/json; charset=utf-8' },
    body: JSON.stringify(document),
  };
}

export function plainText(body: string): Reply {
  return { status: 200, headers: { 'Content-Type': 'text/plain; charset=utf-8' }, body };
}

/** The error codes of the identity category (the enumeration in the swagger of IMDS). */
export type IdentityErrorCode =
  | 'invalid_request'
  | 'server_error'
  | 'service_unavailable'
  | 'not_found'
  | 'method_not_allowed'
  | 'invalid_resource';

/** The error codes of the VM extension ("HTTP response reference" of how-to-use-vm-token). */
export type VmExtensionErrorCode = 'bad_request_102' | 'invalid_resource' | 'unknown_source' | 'unknown';

/** An error of the VM extension. */
export function vmExtensionError(status: number, error: VmExtensionErrorCode, description: string): Reply {
  return json({ error, error_description: description }, status);
}

/** An error below `/metadata/identity`. */
export function identityError(status: number, error: IdentityErrorCode, description: string): Reply {
  return json({ error, error_description: description }, status);
}

/** An error anywhere else. */
export function instanceError(status: number, error: string): Reply {
  return json({ error }, status);
}
