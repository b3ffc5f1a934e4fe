import {
  type Caller,
  newWitnessKey,
  WITNESS_HEADER,
  type WitnessedRun,
  WitnessQuestion,
} from '@msi-proxy/shared';
import { jsonAnswer, notFound, type LocalAnswer } from '@msi-proxy/shared/http';

export interface WitnessOptions {
  /** Who has the address for certain, without asking the engine; undefined when that cannot be said. */
  readonly unchanged: (address: string) => Caller | undefined;
}

/** Answers proxies past the Docker engine. Nobody else has the key, which they get over their sessions. */
export class Witness {
  /** Secret. */
  readonly key = newWitnessKey();
  readonly #options: WitnessOptions;

  constructor(options: WitnessOptions) {
    this.#options = options;
  }

  /**
   * @param target path and query
   * @returns undefined when this is no question of a proxy
   */
  answer(target: string, headers: Readonly<Record<string, unknown>>): LocalAnswer | undefined {
    const question = WitnessQuestion.read(this.key, target, headers[WITNESS_HEADER]);
    if (question === undefined) return undefined;
    const run: WitnessedRun | undefined = this.#options.unchanged(question.address);
    return run === undefined ? notFound('instance', 'Not certain') : jsonAnswer(200, question.answer(run));
  }
}
