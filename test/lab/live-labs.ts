/** What can be removed with everything in it. */
export interface Removable {
  remove(): Promise<void>;
}

/** Owned by this process and not removed yet; a signal that ends the process removes them. */
const live = new Set<Removable>();
let listening = false;

/** From now on, a signal that ends this process removes it first. */
export function own(lab: Removable): void {
  live.add(lab);
  endOrderlyOnSignals();
}

/** It is removed, or is to stay. */
export function disown(lab: Removable): void {
  live.delete(lab);
}

function endOrderlyOnSignals(): void {
  if (listening) return;
  listening = true;
  for (const [name, number] of [
    ['SIGINT', 2],
    ['SIGTERM', 15],
    ['SIGHUP', 1],
  ] as const) {
    process.on(name, () => {
      void Promise.allSettled([...live].map(lab => lab.remove())).then(() => process.exit(128 + number));
    });
  }
}
