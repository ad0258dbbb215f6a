/**
 * Mocha's `spec` output with one more line at the very end, alone and uncoloured, for programs: `N passed, M failed` or `N
 * passed, M failed, K skipped`. A hook that fails counts as a failed test.
 */
import Mocha from 'mocha';

export default class ClosingLineReporter extends Mocha.reporters.Spec {
  constructor(runner: Mocha.Runner, options?: Mocha.MochaOptions) {
    super(runner, options);
    runner.once(Mocha.Runner.constants.EVENT_RUN_END, () => console.log(closingLine(this.stats)));
  }
}

export function closingLine({
  passes,
  failures,
  pending,
}: Pick<Mocha.Stats, 'passes' | 'failures' | 'pending'>): string {
  return `${passes} passed, ${failures} failed${pending === 0 ? '' : `, ${pending} skipped`}`;
}
