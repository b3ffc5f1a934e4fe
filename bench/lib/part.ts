import type { CpuList } from './binding.ts';
import type { Side } from './sides.ts';

/** What a part of the benchmarks has to work with. */
export interface BenchContext {
  /** For files; removed at the end. */
  readonly folder: string;
  /** A short run that shows the ratios and not much more. */
  readonly isQuick: boolean;
  /** For the program that is measured. */
  readonly cpus: CpuList;
  /** For everything else: load, upstream, monitor. */
  readonly loadCpus: CpuList;
  readonly proxyBundle: string;
  readonly nodeArguments: readonly string[];
  /** Programs that somebody else has started. */
  readonly further: readonly Side[];
  /** For images; absent when nothing is to be written. */
  readonly docsFolder: string | undefined;
  readonly progress: (text: string) => void;
}

export interface PartResult {
  /** For docs/benchmarks.md. */
  readonly markdown: string;
  /** For docs/benchmarks.json. */
  readonly data: unknown;
  /** What was answered wrongly; time is never a fault. */
  readonly faults: readonly string[];
}

/** One thing that is measured. */
export interface Part {
  readonly name: string;
  readonly isQuickToo: boolean;
  readonly run: (context: BenchContext) => Promise<PartResult>;
}
