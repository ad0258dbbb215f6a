/**
 * What a benchmark is. `npm run bench` runs them, each in a process of its own, prints their tables and writes them under
 * `docs/benchmarks/`. A benchmark is a file `<name>.bench.ts` in this folder that exports `bench`; loading it runs nothing.
 *
 * Machines are noisy: what counts is the ratio against something measured beside it in the same run, interleaved, and the
 * median of at least five runs. Nothing here is asserted in the test suite.
 */
import type { WorldSize } from './world/world.ts';

export interface BenchRow {
  readonly what: string;
  /** Cells in the order of {@link BenchResult.columns}. */
  readonly cells: readonly string[];
}

export interface BenchResult {
  readonly columns: readonly string[];
  readonly rows: readonly BenchRow[];
  /** What it was made of: sizes, seeds, what the peer is; and what one sees in the table. */
  readonly notes: readonly string[];
}

/** What the command line says to the benchmarks of the realistic world; the others have sizes of their own. */
export interface BenchSettings {
  readonly size: WorldSize;
  /** How long isolation reads and writes at a time; absent: as it has it. */
  readonly seconds?: number | undefined;
  /** Where a world that one benchmark of this run has built is kept for the next one. */
  readonly worldsDirectory: string;
}

export interface Bench {
  /** The name of its file; of its page under `docs/benchmarks/`, and what it is called by on the command line. */
  readonly name: string;
  readonly title: string;
  /** Flags of the node process it runs in: `--expose-gc`. */
  readonly nodeFlags?: readonly string[];
  run(report: (progress: string) => void, settings: BenchSettings): Promise<BenchResult>;
}

/** The middle one; of an even number the lower. */
export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[(values.length - 1) >> 1]!;
}

/** The value that this share of all lies below; NaN of none. */
export function quantile(values: readonly number[], share: number): number {
  return (
    [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? Number.NaN
  );
}

/** Milliseconds, in as many digits as say something. */
export function milliseconds(value: number): string {
  if (Number.isNaN(value)) return '';
  return `${value < 10 ? value.toFixed(2) : value < 100 ? value.toFixed(1) : Math.round(value).toLocaleString('en')} ms`;
}

/** Milliseconds of one call. */
export function timed(work: () => void): number {
  const startMs = performance.now();
  work();
  return performance.now() - startMs;
}

/**
 * Runs the contenders in turn, A B C A B C …, `rounds` times after one round that does not count; answers the ms of each, by
 * contender.
 */
export function interleaved(contenders: readonly (() => void)[], rounds: number): number[][] {
  const results: number[][] = contenders.map(() => []);
  for (let round = 0; round <= rounds; round++) {
    for (const [index, contender] of contenders.entries()) {
      const ms = timed(contender);
      if (round > 0) results[index]!.push(ms);
    }
  }
  return results;
}
