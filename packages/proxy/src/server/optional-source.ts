import { notFound } from '@msi-proxy/shared/http';
import { settled, type AnswerSource } from './answer-source.ts';

export interface OptionalSourceOptions {
  readonly source: AnswerSource;
  readonly isPresent: () => Promise<boolean>;
}

/** Answers 404 at once, instead of 503 in the end, where there is no IMDS and need not be. */
export function createOptionalSource({ source, isPresent }: OptionalSourceOptions): AnswerSource {
  return async authorized => {
    if (await isPresent()) return await settled(source(authorized));
    const { errorShape } = authorized.gated.endpoint;
    return { kind: 'absent', answer: notFound(errorShape, 'There is no metadata service here, only tokens') };
  };
}
