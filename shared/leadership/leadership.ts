/** The keys of the control bucket: the leadership record, heartbeats, the leases; and the only parsers of their values. */
import { Unproven } from '../stream/stream.ts';
import { epochRefusal } from './epochs.ts';

/** One key in the control bucket, remembered by every region. */
export interface Leadership {
  readonly leader: string;
  /** Counts leaderships; grows with every promotion, never goes back. */
  readonly epoch: number;
  /** Random for every change: distinguishes one's own change from another's after an error. */
  readonly nonce: string;
  /** A planned promotion in progress: the leader refuses new writes once it has seen it. */
  readonly handover?: { readonly to: string; readonly id: string };
}

/** The context in which a record is judged. */
export interface LeadershipRules {
  /** Regions of the topology; absent if names are judged by the next reader of the record. */
  readonly regions?: readonly string[] | undefined;
  /** The highest epoch known to this process; 0 if it knows none. */
  readonly knownEpoch: number;
}

/** Why a value in place of a record is invalid. */
export interface Unsound {
  readonly unsound: string;
}

/** Nonces and ids have 13 to 16 characters; longer ones are invalid. */
const NAME_LIMIT = 128;

/**
 * The only way from a value to a record, wherever it was read or reported. A value that names a region outside the topology, has
 * a malformed field or an epoch far beyond the known one is invalid: nothing of it is used.
 */
export function parseLeadership(value: unknown, { regions, knownEpoch }: LeadershipRules): Leadership | Unsound {
  if (value instanceof Unproven) return { unsound: `it ${value.flaw}` };
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
 * A record stored on a disk. An earlier release stored any value of the key, so it is judged like others: against the highest
 * plausible epoch of the log on the same disk.
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

/** The key in the control bucket with what happened to the cluster; its value: `services/router/journal`. */
export const JOURNAL_KEY = 'journal';

/** The key in the control bucket a region rewrites every second, with automatic failover. */
export function aliveKey(region: string): string {
  return `alive.${region}`;
}

/** The value of a region's heartbeat; what matters is that it changes. */
export interface Alive {
  readonly region: string;
  /** True while partitioned by a drill: it must not be replaced. */
  readonly partitioned: boolean;
  /** Its own clock when it wrote this, epoch ms: only to be compared with its other reports of its clock. */
  readonly clockMs: number;
}

/** Undefined if the value is not a heartbeat of this region. */
export function parseAlive(value: unknown, of: string): Alive | undefined {
  const { region, partitioned, clockMs } = (value ?? {}) as Partial<Alive>;
  if (region !== of || typeof partitioned !== 'boolean' || !isClockMs(clockMs)) return undefined;
  return { region, partitioned, clockMs };
}

/** The value of the lease key: its holder. */
export interface LeaseValue {
  readonly holder: string;
}

/** Undefined if the value is not a lease. */
export function parseLease(value: unknown): LeaseValue | undefined {
  const { holder } = (value ?? {}) as Partial<LeaseValue>;
  return isName(holder) ? { holder } : undefined;
}

/** The key in the control bucket that says which drill is in progress, of one at a time. */
export const DRILL_KEY = 'drill';

export const DRILL_TITLE_LIMIT = 120;

/** The value of the drill key. Times are those of the clocks of routers, epoch ms. */
export interface DrillValue {
  readonly id: string;
  readonly title: string;
  readonly startedMs: number;
  /** Unless it is extended before. Once it has ended: when it did. */
  readonly expiresMs: number;
  readonly ended: boolean;
}

/** Undefined if the value is not that of a drill. */
export function parseDrillValue(value: unknown): DrillValue | undefined {
  const { id, title, startedMs, expiresMs, ended } = (value ?? {}) as Partial<DrillValue>;
  const isDrill =
    isName(id) && isDrillTitle(title) && isClockMs(startedMs) && isClockMs(expiresMs) && typeof ended === 'boolean';
  return isDrill ? { id, title, startedMs, expiresMs, ended } : undefined;
}

/** Control characters would reach terminals. */
export function isDrillTitle(text: unknown): text is string {
  return typeof text === 'string' && text.length <= DRILL_TITLE_LIMIT && /^[^\p{Cc}]+$/u.test(text);
}

/** The id of a drill: its runner draws it. */
export function isDrillId(text: unknown): text is string {
  return typeof text === 'string' && /^[a-z2-7]{8,32}$/.test(text);
}

/** The largest time a `Date` holds. */
const CLOCK_LIMIT_MS = 8.64e15;

function isClockMs(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= CLOCK_LIMIT_MS;
}
