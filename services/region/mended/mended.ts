/**
 * The mark of a mended state: events from the future were removed from windows, decay and creation times (docs/runbook.md). The
 * mended state cannot be rebuilt from the log, so it is a base that the other regions adopt as a snapshot. This mark
 * distinguishes it from the state that it replaces.
 */
export interface Mended {
  /** 1, 2, 3 …: one more than the mark of the state that was mended. */
  readonly count: number;
  /** Of two with the same count the one with the higher id replaces the other. */
  readonly id: string;
  /** By origin, for those with events from the future: the latest acceptance time when it was mended, epoch ms. */
  readonly future: Readonly<Record<string, number>>;
}

/** Undefined: never mended. */
export function mendedOf(value: unknown): Mended | undefined {
  const { count, id, future } = (value ?? {}) as Partial<Mended>;
  if (typeof count !== 'number' || typeof id !== 'string') return undefined;
  return { count, id, future: future ?? {} };
}

/** Positive if `a` replaces `b`, 0 if they are equal. */
export function compareMended(a: Mended | undefined, b: Mended | undefined): number {
  if (a?.count !== b?.count) return (a?.count ?? 0) - (b?.count ?? 0);
  if (a?.id === b?.id) return 0;
  return (a?.id ?? '') < (b?.id ?? '') ? -1 : 1;
}
