type ReadText = (path: string) => string | undefined;

/** Of `/proc/<pid>/stat` (proc(5)), counted behind the name of the program, which may hold anything. */
const START_TIME_FIELD = 19;

/**
 * Tells one process from the next one of the same number.
 *
 * @param readText gives the text of a file; undefined when there is none
 * @returns undefined when this process does not see it, as in a process namespace of its own
 */
export function processStart(readText: ReadText, pid: number): string | undefined {
  const stat = readText(`/proc/${pid}/stat`);
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[START_TIME_FIELD];
}

/** Whether an address is one of the process's network namespace itself, as the kernel has it now. */
export function hasAddress(readText: ReadText, pid: number, address: string): boolean {
  const trie = readText(`/proc/${pid}/net/fib_trie`) ?? '';
  const lines = trie.split('\n');
  return lines.some(
    (line, at) => line.trim() === `|-- ${address}` && lines[at + 1]?.trim() === '/32 host LOCAL',
  );
}
