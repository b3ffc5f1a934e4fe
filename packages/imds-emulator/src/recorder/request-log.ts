/** A request as it arrived, and what became of it. Plain data. */
export interface RecordedRequest {
  /** ISO 8601, UTC. */
  readonly at: string;
  readonly method: string;
  /** Path and query exactly as received. */
  readonly target: string;
  /** Names and values in turn, exactly as received. */
  readonly rawHeaders: readonly string[];
  readonly sourceAddress: string;
  readonly sourcePort: number;
  /** Of the answer that was sent; `null` while there is none, or when a fault kept it back. */
  readonly status: number | null;
  /** Whether the client closed the connection before it had the answer. */
  readonly clientGone: boolean;
}

type Outcome = Partial<Pick<RecordedRequest, 'status' | 'clientGone'>>;

// Some tests send thousands of requests; what they look at is the last ones.
const CAPACITY = 1_000;

/** The last requests, oldest first. */
export class RequestLog {
  #entries: RecordedRequest[] = [];
  #total = 0;

  get entries(): readonly RecordedRequest[] {
    return [...this.#entries];
  }

  /** All requests ever, also those that the log has forgotten. */
  get total(): number {
    return this.#total;
  }

  /** @returns a function that adds what became of the request */
  add(request: RecordedRequest): (outcome: Outcome) => void {
    let current = request;
    this.#entries.push(current);
    if (this.#entries.length > CAPACITY) this.#entries.shift();
    this.#total += 1;
    return outcome => {
      const index = this.#entries.indexOf(current);
      current = { ...current, ...outcome };
      if (index !== -1) this.#entries[index] = current;
    };
  }

  clear(): void {
    this.#entries = [];
  }
}
