/**
 * A region's state was mended: events from the future were taken out of windows, decay and creation times (docs/runbook.md). The
 * mended state cannot be made of the log again, so it is a base that the other regions take over as a snapshot, which this mark
 * tells from what it replaces.
 */
export interface Mended {
  /** 1, 2, 3 …: one more than what it was made of. */
  readonly count: number;
  /** Of two with one count the one with the higher id replaces the other. */
  readonly id: string;
  /** By origin: the latest acceptance time when it was mended, epoch ms; of those that were in the future. */
  readonly future: Readonly<Record<string, number>>;
}

/** Undefined: never mended. */
export function mendedOf(value: unknown): Mended | undefined {
  const { count, id, future } = (value ?? {}) as Partial<Mended>;
  if (typeof count !== 'number' || typeof id !== 'string') return undefined;
  return { count, id, future: future ?? {} };
}

/** Positive where `a` replaces `b`, 0 where they are one. */
export function compareMended(a: Mended | undefined, b: Mended | undefined): number {
  if (a?.count !== b?.count) return (a?.count ?? 0) - (b?.count ?? 0);
  if (a?.id === b?.id) return 0;
  return (a?.id ?? '') < (b?.id ?? '') ? -1 : 1;
}
