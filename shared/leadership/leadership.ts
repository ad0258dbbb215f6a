/** The keys of the control bucket: the leadership record, heartbeats, the lease; and the only parsers of their values. */
import { epochRefusal } from './epochs.ts';

/** One key in the control bucket, remembered by every region. */
export interface Leadership {
  readonly leader: string;
  /** Counts leaderships; grows with every promotion, never goes back. */
  readonly epoch: number;
  /** Chance, made anew with every change: tells one's own change from another's after an error. */
  readonly nonce: string;
  /** A planned promotion under way: the leader refuses new writes once it has seen it. */
  readonly handover?: { readonly to: string; readonly id: string };
}

/** What a record is judged by. */
export interface LeadershipRules {
  /** Of the topology; absent where names are judged by whoever reads the record next. */
  readonly regions?: readonly string[] | undefined;
  /** The highest epoch this process believes; 0 when it knows none. */
  readonly knownEpoch: number;
}

/** A value in the place of a record that is none of this cluster: why. */
export interface Unsound {
  readonly unsound: string;
}

/** Nonces and ids are 13 to 16 characters; more is no name. */
const NAME_LIMIT = 128;

/**
 * The only way from a value to a record, wherever it was read or reported. What names a region outside the topology, has a
 * malformed field or an epoch far beyond the known one is no record: nothing of it is used.
 */
export function parseLeadership(value: unknown, { regions, knownEpoch }: LeadershipRules): Leadership | Unsound {
  if (typeof value !== 'object' || value === null) return { unsound: 'it is not an object' };
  const { leader, epoch, nonce, handover } = value as Partial<Record<keyof Leadership, unknown>>;
  if (!isOneOf(regions, leader)) return { unsound: `leader ${shown(leader)} is no region of the topology` };
  const refusal = epochRefusal(epoch, knownEpoch);
  if (refusal !== undefined) return { unsound: refusal };
  if (!isName(nonce)) return { unsound: `nonce must be a text of 1 to ${NAME_LIMIT} characters` };
  const record: Leadership = { leader, epoch: epoch as number, nonce };
  if (handover === undefined) return record;
  if (typeof handover !== 'object' || handover === null) return { unsound: 'handover is not an object' };
  const { to, id } = handover as { readonly to?: unknown; readonly id?: unknown };
  if (!isOneOf(regions, to)) return { unsound: `handover to ${shown(to)}, which is no region of the topology` };
  if (to === leader) return { unsound: `handover of ${to} to itself` };
  if (!isName(id)) return { unsound: `the id of handover must be a text of 1 to ${NAME_LIMIT} characters` };
  return { ...record, handover: { to, id } };
}

/**
 * A record remembered on a disk. An earlier release stored whatever the key held, so it is judged like any other: against
 * the highest epoch that can be believed of the log beside it.
 */
export function parseRemembered(
  value: unknown,
  loggedEpoch: number,
  regions?: readonly string[],
): Leadership | Unsound {
  return parseLeadership(value, { regions, knownEpoch: loggedEpoch });
}

export function isUnsound(parsed: Leadership | Unsound): parsed is Unsound {
  return 'unsound' in parsed;
}

function isOneOf(regions: readonly string[] | undefined, name: unknown): name is string {
  return regions === undefined ? isName(name) : typeof name === 'string' && regions.includes(name);
}

function isName(text: unknown): text is string {
  return typeof text === 'string' && text.length >= 1 && text.length <= NAME_LIMIT;
}

function shown(value: unknown): string {
  return (JSON.stringify(value) ?? 'undefined').slice(0, NAME_LIMIT);
}

/** The key in the control bucket that the router writes which would replace an unresponsive leader. */
export const LEASE_KEY = 'lease';

/** The key in the control bucket a region rewrites every second, with automatic failover. */
export function aliveKey(region: string): string {
  return `alive.${region}`;
}

/** What a region says of itself in its alive key; that it changes is what counts. */
export interface Alive {
  readonly region: string;
  /** Cut off by a drill: not to be replaced. */
  readonly partitioned: boolean;
  /** Its own clock when it wrote this, epoch ms: to be compared with what it says of its clock elsewhere, and nothing else. */
  readonly clockMs: number;
}

/** Undefined when the value is no heartbeat of this region. */
export function parseAlive(value: unknown, of: string): Alive | undefined {
  const { region, partitioned, clockMs } = (value ?? {}) as Partial<Alive>;
  if (region !== of || typeof partitioned !== 'boolean' || !isClockMs(clockMs)) return undefined;
  return { region, partitioned, clockMs };
}

/** What the lease key holds: who holds it. */
export interface LeaseValue {
  readonly holder: string;
}

/** Undefined when the value is no lease. */
export function parseLease(value: unknown): LeaseValue | undefined {
  const { holder } = (value ?? {}) as Partial<LeaseValue>;
  return isName(holder) ? { holder } : undefined;
}

/** The largest time a `Date` holds. */
const CLOCK_LIMIT_MS = 8.64e15;

function isClockMs(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= CLOCK_LIMIT_MS;
}
