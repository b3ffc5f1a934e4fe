/** IMDS has two shapes of error bodies: `{error, error_description}` below /metadata/identity, `{error}` elsewhere. */
export type ErrorShape = 'identity' | 'instance';

/** The shape of errors for any path, known or not; IMDS reads the first segment in any case. */
export function errorShapeOf(path: string): ErrorShape {
  return /^\/metadata\/identity(?:$|[^a-z])/i.test(path) ? 'identity' : 'instance';
}
