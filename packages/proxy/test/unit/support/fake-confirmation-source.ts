import type { Confirmed } from '@msi-proxy/shared';
import type { ConfirmationSource, MonitorState } from '../../../src/callers/caller-resolver.ts';

/** A monitor that answers when the test says so. */
export class FakeConfirmationSource implements ConfirmationSource {
  readonly asked: string[] = [];
  readonly #listeners = new Set<() => void>();
  #questions: PromiseWithResolvers<Confirmed['result']>[] = [];
  #state: MonitorState = 'live';

  get monitorState(): MonitorState {
    return this.#state;
  }

  /** Also after the end of a session, when the test says so. */
  leavesWitness = false;

  get canAskWitness(): boolean {
    return this.#state === 'silent' || (this.#state === 'none' && this.leavesWitness);
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  confirm(address: string): Promise<Confirmed['result']> {
    this.asked.push(address);
    const question = Promise.withResolvers<Confirmed['result']>();
    this.#questions.push(question);
    return question.promise;
  }

  onMonitorStateChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Answers the oldest open question. */
  answer(result: Confirmed['result']): void {
    const question = this.#questions.shift();
    if (question === undefined) throw new Error('nothing was asked');
    question.resolve(result);
  }

  become(state: MonitorState): void {
    this.#state = state;
    for (const listener of [...this.#listeners]) listener();
  }

  /** The session ends: its questions stay without an answer. */
  endSession(): void {
    const questions = this.#questions;
    this.#questions = [];
    for (const question of questions) question.reject(new Error('the session has ended'));
    this.become('none');
  }
}
