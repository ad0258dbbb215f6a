/** The leadership record: one key in the control bucket, remembered by every region. */

export interface Leadership {
  readonly leader: string;
  /** Counts leaderships; grows with every promotion, never goes back. */
  readonly epoch: number;
  /** Chance, made anew with every change: tells one's own change from another's after an error. */
  readonly nonce: string;
  /** A planned promotion under way: the leader refuses new writes once it has seen it. */
  readonly handover?: { readonly to: string; readonly id: string };
}

/** Undefined when the value is not a leadership record. */
export function parseLeadership(value: unknown): Leadership | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { leader, epoch, nonce, handover } = value as Partial<Leadership>;
  if (typeof leader !== 'string' || typeof nonce !== 'string') return undefined;
  if (typeof epoch !== 'number' || !Number.isSafeInteger(epoch) || epoch < 1) return undefined;
  if (handover === undefined) return { leader, epoch, nonce };
  if (typeof handover.to !== 'string' || typeof handover.id !== 'string') return undefined;
  return { leader, epoch, nonce, handover: { to: handover.to, id: handover.id } };
}

/** The key in the control bucket that the router writes which would replace a silent leader. */
export const LEASE_KEY = 'lease';

/** The key in the control bucket a region rewrites every second, with automatic failover. */
export function aliveKey(region: string): string {
  return `alive.${region}`;
}

/** What a region says of itself in its alive key; that it changes is what counts. */
export interface Alive {
  readonly region: string;
  /** Cut off by a drill: not to be replaced. */
  readonly cut: boolean;
  /** Its own clock when it wrote this, epoch ms: to be compared with what it says of its clock elsewhere, and nothing else. */
  readonly clockMs: number;
}

/** Undefined when the value is no sign of life. */
export function parseAlive(value: unknown): Alive | undefined {
  const { region, cut, clockMs } = (value ?? {}) as Partial<Alive>;
  if (typeof region !== 'string' || typeof cut !== 'boolean' || typeof clockMs !== 'number') return undefined;
  return { region, cut, clockMs };
}
