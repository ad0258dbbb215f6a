/**
 * Mocha's `spec` output with one more line at the very end, alone and uncoloured, for programs: `N passed, M failed` or `N
 * passed, M failed, K skipped`. Suites that take long are named above it, the longest first. A hook that fails counts as a failed test. A run that something keeps from ending, such as what a
 * timed-out test left open, is ended as failed, and what keeps it is named.
 */
import { relative } from 'node:path';
import Mocha from 'mocha';

const GRACE_MS = 30_000;
const LONG_MS = 10_000;
const MOST_NAMED = 40;

export default class ClosingLineReporter extends Mocha.reporters.Spec {
  constructor(runner: Mocha.Runner, options?: Mocha.MochaOptions) {
    super(runner, options);
    const begunMs = new Map<Mocha.Suite, number>();
    const tookMs = new Map<string, number>();
    runner.on(Mocha.Runner.constants.EVENT_SUITE_BEGIN, (suite) => begunMs.set(suite, performance.now()));
    runner.on(Mocha.Runner.constants.EVENT_SUITE_END, (suite) => {
      const { file = '' } = suite;
      if (suite.parent?.root === true)
        tookMs.set(file, (tookMs.get(file) ?? 0) + performance.now() - begunMs.get(suite)!);
    });
    runner.once(Mocha.Runner.constants.EVENT_RUN_END, () => {
      for (const line of longSuites(tookMs)) console.log(line);
      console.log(closingLine(this.stats));
      setTimeout(endOpenRun, GRACE_MS).unref();
    });
  }
}

/** Of each file's time in ms: one line for each long one, and a line above them. */
export function longSuites(tookMs: ReadonlyMap<string, number>): readonly string[] {
  const long = [...tookMs].filter(([, ms]) => ms >= LONG_MS).sort(([, a], [, b]) => b - a);
  const lines = long
    .slice(0, MOST_NAMED)
    .map(([file, ms]) => `${(ms / 1_000).toFixed(0).padStart(5)} s  ${relative(process.cwd(), file)}`);
  return lines.length === 0 ? [] : ['suites that took longest:', ...lines, ''];
}

export function closingLine({
  passes,
  failures,
  pending,
}: Pick<Mocha.Stats, 'passes' | 'failures' | 'pending'>): string {
  return `${passes} passed, ${failures} failed${pending === 0 ? '' : `, ${pending} skipped`}`;
}

function endOpenRun(): void {
  console.error(`the run has not ended: ${[...new Set(process.getActiveResourcesInfo())].join(', ')} still open`);
  // Mocha sets the exit code once more at the very end, by the failed tests alone.
  process.once('exit', () => {
    process.exitCode = 1;
  });
  process.exit();
}
