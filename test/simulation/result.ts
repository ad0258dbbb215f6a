/** A run as it travels from the process that ran it. */
import type { FaultEvent } from './faults.ts';
import type { Run } from './run-seed.ts';

export interface SeedRequest {
  readonly seed: string;
  readonly faults?: readonly FaultEvent[] | undefined;
  readonly theme?: string | undefined;
  /** Lines of the trace to send back. */
  readonly keep: number;
}

export interface Result extends Omit<Run, 'violation'> {
  /** `check` names the checker. */
  readonly violation: { readonly check: string; readonly message: string } | undefined;
  readonly cpuMs: number;
}

export function resultOf(run: Run, cpuMs: number): Result {
  const { violation } = run;
  return {
    ...run,
    violation: violation === undefined ? undefined : { check: violation.check, message: violation.message },
    cpuMs,
  };
}
