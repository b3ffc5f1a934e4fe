/**
 * IMDS has two shapes of error bodies: `{error, error_description}` below /metadata/identity, `{error}` elsewhere. The
 * older VM extension, at /oauth2/token, has the first one too.
 */
export type ErrorShape = 'identity' | 'instance';

/** The shape of errors for any path, known or not; IMDS reads the first segment in any case. */
export function errorShapeOf(path: string): ErrorShape {
  return /^\/(?:metadata\/identity|oauth2)(?:$|[^a-z])/i.test(path) ? 'identity' : 'instance';
}
