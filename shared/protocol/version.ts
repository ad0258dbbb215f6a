/**
 * The versions that routers and regions state to each other: of the program, for people, and of the internal API (`internal.ts`), by
 * which they refuse each other. Every request has both in {@link VERSION_HEADER}, every status in `RegionStatus.version`. A
 * process that states none is older than this statement and speaks protocol 1.
 *
 * Two processes understand each other if the ranges of protocols they speak overlap. What a process refuses whole when it does not
 * know it (a field, a route, a packed body) needs no new number. A change that an older process would misread does: `newest`
 * grows, both forms are spoken for one release, and only then `oldest` follows. So regions and routers of consecutive releases
 * always work in one cluster.
 */
import { clip, Fault, Refusal } from '../errors/errors.ts';

/** As in package.json; a test compares the two. */
export const PROGRAM_VERSION = '0.1.0';

export interface Protocols {
  readonly oldest: number;
  readonly newest: number;
}

export const PROTOCOLS: Protocols = { oldest: 1, newest: 2 };

/** From this protocol on a region applies retractions. One that does not stops at an origin that has any. */
export const RETRACTIONS_PROTOCOL = 2;

export interface Version {
  /** Of the program; absent: it states none. */
  readonly program?: string;
  readonly protocols: Protocols;
}

/**
 * Version of a region's store, in its data directory, in a snapshot and in a backup: its tables, registers, idempotency records
 * and marks. Batches, checkpoint shards and the files of the vector index have a version each. A store that states none is of
 * format 1. Format 2: every row has a checksum (`services/region/wal/row-checksums.ts`), and idempotency records may have retractions.
 */
export const STORE_FORMAT = 2;

/** Why a store of this format, as its mark or an offer states it, cannot be used; undefined if it can. */
export function formatFlaw(format: unknown = 1): string | undefined {
  if (Number.isSafeInteger(format) && (format as number) >= 1 && (format as number) <= STORE_FORMAT) return undefined;
  return `the store has the format ${clip(JSON.stringify(format) ?? 'none')}; version ${PROGRAM_VERSION} knows those up to ${STORE_FORMAT}: a later version has written it, or what states it is damaged`;
}

export const OWN_VERSION: Version = { program: PROGRAM_VERSION, protocols: PROTOCOLS };

const UNSTATED: Version = { protocols: { oldest: 1, newest: 1 } };

/** `<program> <oldest>-<newest>` */
export const VERSION_HEADER = 'x-tidal-version';

export function formatVersion({ program, protocols }: Version): string {
  return `${program} ${protocols.oldest}-${protocols.newest}`;
}

/** Undefined for an invalid text; an empty one states nothing. */
export function parseVersion(text: string): Version | undefined {
  if (text === '') return UNSTATED;
  const [, program, oldest, newest] = /^([\w.+-]{1,32}) (\d{1,6})-(\d{1,6})$/.exec(text) ?? [];
  return program === undefined ? undefined : asVersion({ program, protocols: { oldest: +oldest!, newest: +newest! } });
}

/** The version that a status states; undefined if that is none. */
export function asVersion(value: unknown): Version | undefined {
  if (value === undefined) return UNSTATED;
  const { program, protocols } = (value ?? {}) as Partial<Version>;
  const { oldest, newest } = (protocols ?? {}) as Partial<Protocols>;
  const areProtocols =
    Number.isSafeInteger(oldest) && Number.isSafeInteger(newest) && oldest! >= 1 && newest! >= oldest!;
  return typeof program === 'string' && areProtocols ? (value as Version) : undefined;
}

/** Why this process and one of that version do not understand each other; undefined if they do. */
function mismatch(who: string, { program, protocols: theirs }: Version): string | undefined {
  const { oldest, newest } = PROTOCOLS;
  if (theirs.oldest <= newest && theirs.newest >= oldest) return undefined;
  const name = program === undefined ? 'an earlier version' : `version ${clip(program, 32)}`;
  return `${who} runs ${name}, which speaks protocol ${spoken(theirs)}; version ${PROGRAM_VERSION} here speaks ${spoken(PROTOCOLS)}`;
}

function spoken({ oldest, newest }: Protocols): string {
  return oldest === newest ? String(newest) : `${oldest} to ${newest}`;
}

const HINT =
  'upgrade the older of the two: regions before routers, one release at a time ("Upgrading" in docs/runbook.md)';

/** Why the leader accepts no retraction while a region of that version would stop at it; undefined: it would not. */
export function retractionRefusal(region: string, { program, protocols }: Version = UNSTATED): Refusal | undefined {
  if (protocols.newest >= RETRACTIONS_PROTOCOL) return undefined;
  const name = program === undefined ? 'an earlier version' : `version ${clip(program, 32)}`;
  return new Refusal('version_mismatch', `${region} runs ${name}, which does not know retractions`, {
    hint: 'upgrade all regions ("Upgrading" in docs/runbook.md); then signals can be taken back',
  });
}

/** Throws `Refusal('version_mismatch')` for a request of a process that this one does not understand. */
export function requireUnderstood(header: string): void {
  const version = parseVersion(header);
  const why =
    version === undefined
      ? `the request states the version ${clip(header)}`
      : mismatch('the sender of the request', version);
  if (why !== undefined) throw new Refusal('version_mismatch', why, { hint: HINT });
}

/** Throws `Fault('version_mismatch')` if this process does not understand the region that reported this version. */
export function requireUnderstandable(region: string, version: Version): void {
  const why = mismatch(region, version);
  if (why !== undefined) throw new Fault('version_mismatch', `${why}: ${HINT}`);
}
