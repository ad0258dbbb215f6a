/** The outcome of a run of the nemesis. */

export interface NemesisReport {
  readonly seed: number;
  readonly faults: ReadonlyMap<string, number>;
  readonly acknowledged: number;
  /** Keyed writes that were sent more than once. */
  readonly repeated: number;
  /** Unkeyed writes with an unknown outcome. */
  readonly unknown: number;
  /** Answers other than 200, and missing ones, by status and code. */
  readonly failures: ReadonlyMap<string, number>;
  /** In which writes were accepted. */
  readonly epochs: number;
  readonly convergedMs: number;
  /** What of the garbage got where it was sent. */
  readonly garbage: {
    readonly messages: number;
    readonly records: number;
    readonly requests: number;
  };
  readonly checks: {
    /** Positions that were acknowledged: each in every region, of one write, with its time. */
    readonly places: number;
    /** Events in the log: the same bytes in every region. */
    readonly events: number;
    /** Keyed writes sent again after everything: all known. */
    readonly sentAgain: number;
    /** Looks at regions and routers while it ran. */
    readonly looks: number;
  };
}

export function describeReport({ garbage, checks, ...report }: NemesisReport): string {
  const total = [...report.faults.values()].reduce((sum, count) => sum + count, 0);
  const named = (counts: ReadonlyMap<string, number>): string =>
    [...counts]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([kind, count]) => `${kind} ${count}`)
      .join(', ');
  return [
    `seed ${report.seed}: ${total} faults (${named(report.faults)})`,
    `garbage: ${garbage.messages} messages on the stream, ${garbage.records} values of the leadership key, ` +
      `${garbage.requests} requests to regions, all refused`,
    `${report.acknowledged} writes acknowledged, ${report.repeated} of them sent more than once under their key, ` +
      `${report.unknown} of unknown outcome; ${report.epochs} epochs accepted writes`,
    `other answers: ${named(report.failures) || 'none'}`,
    `converged ${(report.convergedMs / 1_000).toFixed(1)} s after the last heal; nothing lost, nothing doubled`,
    `checked: ${checks.places} acknowledged positions and their times, ${checks.events} events in the logs, windows of every ` +
      `item, ${checks.sentAgain} keyed writes sent again, ${checks.looks} looks while it ran, verify and health`,
  ].join('\n');
}
