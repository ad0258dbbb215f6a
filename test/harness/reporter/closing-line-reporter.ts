/**
 * Mocha's `spec` output with one more line at the very end, alone and uncoloured, for programs: `N passed, M failed` or `N
 * passed, M failed, K skipped`. A hook that fails counts as a failed test. A run that something keeps from ending, such as what a
 * timed-out test left open, is ended as failed, and what keeps it is named.
 */
import Mocha from 'mocha';

const GRACE_MS = 30_000;

export default class ClosingLineReporter extends Mocha.reporters.Spec {
  constructor(runner: Mocha.Runner, options?: Mocha.MochaOptions) {
    super(runner, options);
    runner.once(Mocha.Runner.constants.EVENT_RUN_END, () => {
      console.log(closingLine(this.stats));
      setTimeout(endOpenRun, GRACE_MS).unref();
    });
  }
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
