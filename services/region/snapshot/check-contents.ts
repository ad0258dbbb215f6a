/**
 * Checks the contents of a store copy other than its log: registers, idempotency records, ledger shards, origins and marks. The
 * log does not prove them, because the events that produced them may be trimmed. So each is checked by the rules for received
 * events (`shared/protocol/events.ts`) and against the copy's own records of origins. A copy that passes can be loaded, merged,
 * applied to and served.
 *
 * No check can show that a value is the one that the events produced. `POST /cluster/verify` compares regions.
 */

import { clip, Fault, messageOf } from '../../../shared/errors/errors.ts';
import { type Clock, sleep } from '../../../shared/kernel/kernel.ts';
import { epochRefusal, highestCredible } from '../../../shared/leadership/epochs.ts';
import {
  areValues,
  BATCH_LIMIT_BYTES,
  HLC_LIMIT,
  isCount,
  metadataFlaw,
  type Order,
  TIME_LIMIT_MS,
} from '../../../shared/protocol/events.ts';
import { parseDisks } from '../../../shared/protocol/known-disks.ts';
import { covers, originPattern, type Position, regionOf, totalOf } from '../../../shared/protocol/position.ts';
import { QUARANTINE_LIMIT } from '../../../shared/protocol/quarantine.ts';
import { CHAIN_BYTES } from '../batch/batch.ts';
import { readCheckpointPosition, unpackShard } from '../checkpoint/checkpoint.ts';
import { declaredBy, isDescription, type SchemaDescription } from '../compatible/compatible.ts';
import { mendedOf } from '../mended/mended.ts';
import { type EmbeddingRegister, encodeMetadata, type ItemRegister } from '../state/catalog/catalog.ts';
import { type Copy, KEY_KEPT_MS, MENDED_EPOCH } from '../state/keys/keys.ts';
import { SHARDS } from '../state/ledger/ledger.ts';
import { checkShard } from '../state/ledger/shards/shards.ts';
import type { OriginInfo, Wal } from '../wal/wal.ts';

/** Other work gets a turn at least this often. */
const TURN_MS = 10;
/** Rows between two checks of the clock. */
const LOOK_EVERY = 64;
/** Of an idempotency key, or of one write under it as earlier versions had them. */
const keyIdPattern = /^[A-Za-z0-9_-]{16}([A-Za-z0-9_-]{6})?$/;
const bodyHashPattern = /^[A-Za-z0-9_-]{11}$/;
/** Merged sets may exceed the limit of commands. */
const QUARANTINE_MOST = 10 * QUARANTINE_LIMIT;

export interface ContentRules {
  /** Signals of the schema under which it will be used; absent: those of the copy's schema. */
  readonly schema?: SchemaDescription | undefined;
  /** Regions whose origins it may have; absent: any. */
  readonly regions?: readonly string[] | undefined;
  /** The highest epoch known to the receiver; absent: the highest plausible one of the copy's origins. */
  readonly knownEpoch?: number | undefined;
  /** Ends the check early. */
  readonly signal?: AbortSignal | undefined;
}

/** Stored ledger shards are counted. */
export interface CheckedContents {
  readonly shards: number;
}

/** Origins and marks, which opening the copy has already read. Throws `Fault('damaged_log')`. */
export function checkRecords(clock: Pick<Clock, 'nowMs'>, wal: Wal, { regions, knownEpoch }: ContentRules): void {
  const origins = wal.origins();
  const epochs = origins.map(({ epoch }) => epoch).filter(isCount);
  const known = knownEpoch === undefined ? wal.credibleEpoch : highestCredible(knownEpoch, epochs);
  for (const info of origins) {
    const flaw = originFlaw(info, regions) ?? epochRefusal(info.epoch, known);
    if (flaw !== undefined) throw wrong(`the record of the origin ${clip(info.origin)}`, flaw);
  }
  const newestMs = origins.reduce((newest, info) => Math.max(newest, info.newestMs), clock.nowMs());
  for (const [mark, flaw] of markFlaws(wal, newestMs)) if (flaw !== undefined) throw wrong(`the mark ${mark}`, flaw);
}

/** Throws `Fault('damaged_log')` or `Fault('damaged_checkpoint')` naming the first invalid row. */
export async function checkContents(clock: Clock, wal: Wal, rules: ContentRules = {}): Promise<CheckedContents> {
  const schema = rules.schema ?? (wal.mark('schema') as SchemaDescription | undefined);
  const pause = pauses(clock);
  const walk = async <K, V>(
    what: string,
    rows: Iterable<readonly [K, V]>,
    flawOf: (key: K, value: V) => string | undefined,
  ): Promise<void> => {
    let before: K | undefined;
    const left = rows[Symbol.iterator]();
    for (;;) {
      const next = readable(left, () =>
        before === undefined ? `the first ${what}` : `the ${what} after ${String(before)}`,
      );
      if (next.done === true || rules.signal?.aborted) return;
      const [key, value] = next.value;
      const flaw = flawOf(key, value);
      if (flaw !== undefined) throw wrong(`the ${what} ${clip(String(key))}`, flaw);
      before = key;
      await pause();
    }
  };
  await walk('item', wal.itemRegisters(), (entity, register) => entityFlaw(entity) ?? itemFlaw(wal, register));
  await walk('embedding', wal.embeddingRegisters(), (entity, register) => {
    return entityFlaw(entity) ?? embeddingFlaw(wal, register, schema?.dimensions);
  });
  await walk('idempotency record', wal.idempotencyRecords(), (id, copies) => copiesFlaw(wal, id, copies));
  return { shards: await checkLedger(wal, schema, pause, rules.signal) };
}

async function checkLedger(
  wal: Wal,
  schema: SchemaDescription | undefined,
  pause: (now?: boolean) => Promise<void>,
  signal: AbortSignal | undefined,
): Promise<number> {
  const { position: floor } = readCheckpointPosition(wal.mark('checkpoint'));
  const declared = schema && declaredBy(schema);
  const events = totalOf(wal.durable);
  requireHeld(wal, floor, 'the checkpoint');
  for (const { origin, first, last } of wal.origins()) {
    const covered = floor.get(origin) ?? 0;
    if (covered < last && first > covered + 1) {
      throw new Fault('damaged_log', `the log lacks ${origin}:${covered + 1}-${first - 1}, which no checkpoint covers`);
    }
  }
  let shards = 0;
  for (const [shard, row] of wal.shards()) {
    if (!isWhole(shard) || shard >= SHARDS) throw wrong(`the ledger shard ${String(shard)}`, 'there is no such shard');
    const { at, shard: bytes } = unpackShard(row, floor);
    requireHeld(wal, at, `the ledger shard ${shard}`);
    checkShard(shard, bytes, { hasSignal: (name) => declared?.hasSignal(name) ?? true, events });
    shards++;
    await pause(true);
    if (signal?.aborted) break;
  }
  return shards;
}

function requireHeld(wal: Wal, position: Position, what: string): void {
  if (!covers(wal.durable, position)) throw new Fault('damaged_checkpoint', `${what} stands beyond the log`);
}

function originFlaw(info: OriginInfo, regions: readonly string[] | undefined): string | undefined {
  const { origin, first, last, chain, lastHlc, lastMs, newestMs } = info;
  if (!originPattern.test(origin) || regions?.includes(regionOf(origin)) === false) {
    return 'it is of no region of the topology (see former_regions)';
  }
  if (!isWhole(last) || !isWhole(first) || first < 1) return 'where it ends is no sequence';
  if (chain.length !== CHAIN_BYTES) return 'the hash of its last batch is none';
  if (!isWhole(lastHlc) || lastHlc > HLC_LIMIT) return 'its clock value is out of range';
  return isTime(lastMs) && isTime(newestMs) && lastMs <= newestMs ? undefined : 'its times are out of range';
}

function* markFlaws(wal: Wal, newestMs: number): Iterable<readonly [string, string | undefined]> {
  const { keysForgottenMs, offset, quarantine } = wal;
  const flaw = (isRight: boolean, what: string): string | undefined => (isRight ? undefined : what);
  // Records are removed a week after their use, so a time far from every known one is invalid.
  const isForgotten = isWhole(keysForgottenMs) && keysForgottenMs <= newestMs + KEY_KEPT_MS;
  yield ['keys_forgotten', flaw(isForgotten, 'it is no time that idempotency records can be forgotten up to')];
  yield ['offset', flaw(offset === undefined || isOffset(offset), 'it is no place in a stream')];
  const areRanges = quarantine.ranges.every(
    ({ origin, first, last }) =>
      typeof origin === 'string' &&
      originPattern.test(origin) &&
      isWhole(first) &&
      first >= 1 &&
      isWhole(last) &&
      last >= first,
  );
  yield ['quarantine', flaw(areRanges && quarantine.ranges.length <= QUARANTINE_MOST, 'it is no set of ranges')];
  const schema = wal.mark('schema');
  yield ['schema', flaw(schema === undefined || isDescription(schema), 'it describes no schema')];
  yield ['mending', flaw((wal.mark('mending') ?? false) === false, 'mending that store was interrupted')];
  const mended = wal.mark('mended');
  yield ['mended', flaw(mended === undefined || isMended(mended), 'it does not say what was mended')];
  const disk = wal.mark('disk') ?? undefined;
  yield ['disk', flaw(disk === undefined || typeof disk === 'string', 'it is no name')];
  yield ['disks', flaw(parseDisks(wal.mark('disks')) !== undefined, 'it is no list of disks')];
  yield ['checkpoint', readError(() => readCheckpointPosition(wal.mark('checkpoint')))];
}

function isOffset(offset: NonNullable<Wal['offset']>): boolean {
  const { sequence, origin, last, created } = offset ?? {};
  return isWhole(sequence) && typeof origin === 'string' && isWhole(last) && typeof created === 'string';
}

function isMended(value: unknown): boolean {
  const mended = mendedOf(value);
  if (mended === undefined || !isWhole(mended.count) || mended.count < 1) return false;
  return typeof mended.future === 'object' && Object.values(mended.future).every(isTime);
}

function entityFlaw(entity: unknown): string | undefined {
  return isWhole(entity) ? undefined : 'its id is out of range';
}

function itemFlaw(wal: Wal, { order, metadata, createdMs, updatedMs }: ItemRegister): string | undefined {
  if (!isTime(updatedMs) || !(createdMs === undefined || isTime(createdMs))) return 'its times are out of range';
  if (metadata === undefined) return orderFlaw(wal, order);
  if (createdMs === undefined) return 'it is live and was never put';
  if (metadata.length > BATCH_LIMIT_BYTES) return `its metadata has ${metadata.length} bytes`;
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(metadata).toString('utf8'));
  } catch {
    return 'its metadata is no JSON';
  }
  const flaw = metadataFlaw(value);
  if (flaw !== undefined) return `metadata${flaw.path === '' ? '' : `.${flaw.path}`} ${flaw.message}`;
  // Threads read it byte by byte, and the digest is over its bytes.
  if (Buffer.compare(encodeMetadata(value as never), metadata) !== 0)
    return 'its metadata is not written as it is stored';
  return orderFlaw(wal, order);
}

function embeddingFlaw(wal: Wal, { order, values }: EmbeddingRegister, dimensions?: number): string | undefined {
  if (values === undefined) return orderFlaw(wal, order);
  if (!areValues(values)) return 'it has no values, or one that is not finite';
  if (dimensions !== undefined && values.length !== dimensions) {
    return `it has ${values.length} dimensions; the schema says ${dimensions}`;
  }
  return orderFlaw(wal, order);
}

/** The event that wrote it is, or was, in the log. */
function orderFlaw(wal: Wal, { epoch, hlc, origin, sequence }: Order): string | undefined {
  const flaw = placeFlaw(wal.origin(origin), { origin, sequence });
  if (flaw !== undefined) return flaw;
  if (epoch !== wal.origin(origin)!.epoch) return `it is of epoch ${epoch}, its origin of another`;
  return isWhole(hlc) && hlc <= HLC_LIMIT ? undefined : 'its clock value is out of range';
}

function placeFlaw(
  info: OriginInfo | undefined,
  { origin, sequence }: { origin: string; sequence: number },
): string | undefined {
  if (info !== undefined && isWhole(sequence) && sequence >= 1 && sequence <= info.last) return undefined;
  if (typeof origin !== 'string' || !isWhole(sequence)) return 'it names no event of the log';
  return `it is of ${clip(origin)}:${sequence}, which the log does not have`;
}

function copiesFlaw(wal: Wal, id: string, copies: readonly Copy[]): string | undefined {
  if (!keyIdPattern.test(id)) return 'its id is none';
  if (!Array.isArray(copies) || copies.length === 0) return 'it holds no write';
  for (const { origin, sequence, epoch, acceptedMs, timeMs, bodyHash, isRetraction } of copies) {
    const info = wal.origin(origin);
    const flaw = placeFlaw(info, { origin, sequence });
    if (flaw !== undefined) return flaw;
    if (epoch !== info!.epoch && epoch !== MENDED_EPOCH) return `it is of epoch ${epoch}, its origin of another`;
    const [earlier, later] = isRetraction ? [acceptedMs, timeMs] : [timeMs, acceptedMs];
    if (!isTime(acceptedMs) || !isTime(timeMs) || earlier > later) return 'its times are out of range';
    if (typeof bodyHash !== 'string' || !bodyHashPattern.test(bodyHash)) return 'the hash of its body is none';
  }
  return undefined;
}

/** −0 is invalid: the digest distinguishes it from the 0 that it becomes in memory. */
function isWhole(value: unknown): value is number {
  return isCount(value) && !Object.is(value, -0);
}

function isTime(value: unknown): value is number {
  return isWhole(value) && value <= TIME_LIMIT_MS;
}

function wrong(where: string, flaw: string): Fault {
  return new Fault('damaged_log', `${where} cannot be used: ${flaw}`);
}

function readError(read: () => unknown): string | undefined {
  try {
    read();
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

/** The next row, if it can be decoded. */
function readable<T>(rows: Iterator<T>, where: () => string): IteratorResult<T> {
  try {
    return rows.next();
  } catch (error) {
    throw wrong(where(), error instanceof Fault ? error.message : 'it cannot be decoded');
  }
}

function pauses(clock: Clock): (now?: boolean) => Promise<void> {
  let turnMs = clock.monotonicMs();
  let rows = 0;
  return async (now = ++rows % LOOK_EVERY === 0) => {
    if (!now || clock.monotonicMs() - turnMs < TURN_MS) return;
    await sleep(clock, 0);
    turnMs = clock.monotonicMs();
  };
}
