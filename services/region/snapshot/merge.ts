/**
 * Merges this region's store into a copy of a peer's: everything that this region has beyond the copy is appended to it.
 *
 * Every copy of an origin is a prefix of it, so for each origin one of the two is the longer. If it is this region's, its batches
 * from the copy's end on are appended to the copy, by the log's own append: checked against their predecessor, with registers and
 * idempotency records merged as usual. If this region has trimmed the beginning of an origin, the copy must reach at least to the
 * end of the trimmed part, which cannot be appended. If this region holds keyed signals from a time whose idempotency records
 * were removed in the copy, nothing is merged, because they might count twice.
 *
 * Nothing of the present store is changed.
 */

import { Fault } from '../../../shared/errors/errors.ts';
import { type Clock, sleep } from '../../../shared/kernel/kernel.ts';
import { isUnsound, parseRemembered } from '../../../shared/leadership/leadership.ts';
import { isDiskId, joinDisks, type KnownDisk, parseDisks } from '../../../shared/protocol/known-disks.ts';
import { type Position, sequenceOf } from '../../../shared/protocol/position.ts';
import type { Quarantine } from '../../../shared/protocol/quarantine.ts';
import { type Batch, decodeBatchUnder, decodeHeader } from '../batch/batch.ts';
import { compareMended, mendedOf } from '../mended/mended.ts';
import { forgottenText, mayBeForgotten } from '../state/keys/keys.ts';
import type { Wal } from '../wal/wal.ts';
import { CATCHING_UP_INSTALLED } from './snapshot.ts';

const READ_BYTES = 4 * 1024 * 1024;

/** The trimmed part of this region's log: a copy that is merged with it must have at least that. */
export function trimmedUpTo(mine: Wal): Position {
  const trimmed = mine.origins().filter(({ first, last }) => last > 0 && first > 1);
  return new Map(trimmed.map(({ origin, first }) => [origin, first - 1]));
}

/** Why a copy at `position` cannot be merged with this region's log; undefined if nothing trimmed is missing from it. */
export function lackOf(mine: Wal, position: Position): string | undefined {
  for (const [origin, trimmed] of trimmedUpTo(mine)) {
    const reached = sequenceOf(position, origin);
    if (reached < trimmed) return `it holds ${origin} up to ${reached}, and the log here begins at ${trimmed + 1}`;
  }
  return undefined;
}

/** Why an opened copy cannot replace this region's store; undefined if it can. */
export function obstacleOf(mine: Wal, copy: Wal): string | undefined {
  if (compareMended(mendedOf(copy.mark('mended')), mendedOf(mine.mark('mended'))) < 0) {
    return 'it was made before the state here was mended';
  }
  const lack = lackOf(mine, copy.durable);
  if (lack !== undefined) return lack;
  for (const { origin, epoch, last } of mine.origins()) {
    const theirs = copy.origin(origin);
    if (theirs === undefined || last === 0) continue;
    if (theirs.epoch !== epoch) return `it has ${origin} in epoch ${theirs.epoch}, here it is ${epoch}`;
    if (theirs.last >= last) continue;
    const next = mine.read(origin, theirs.last + 1, 1)[0];
    const batch = next === undefined ? undefined : decodeHeader(next);
    if (batch?.first !== theirs.last + 1 || (theirs.last > 0 && Buffer.compare(batch.chain, theirs.chain) !== 0)) {
      return `its ${origin} ends at ${theirs.last} with another batch than here`;
    }
  }
  return undefined;
}

/** The batches of this region beyond the position, origin by origin, some at a time. Throws `Fault('damaged_log')`. */
function* beyond(mine: Wal, position: Position, quarantine: Quarantine): Iterable<readonly Batch[]> {
  for (const { origin, last } of mine.origins()) {
    for (let next = sequenceOf(position, origin) + 1; next <= last; ) {
      const batches: Batch[] = mine.read(origin, next, READ_BYTES).map((bytes) => decodeBatchUnder(quarantine, bytes));
      const end = batches[batches.length - 1]?.last;
      if (end === undefined) throw new Fault('damaged_log', `the log lacks ${origin}:${next}`);
      yield batches;
      next = end + 1;
    }
  }
}

/** Why events of this region beyond a copy may have been counted in it already; undefined if none were. */
function repetitionIn(batches: readonly Batch[], keysForgottenMs: number): string | undefined {
  for (const batch of batches) {
    const copy = mayBeForgotten(batch, keysForgottenMs);
    if (copy === undefined) continue;
    return `${batch.origin}, beyond it in this region's log, ${forgottenText(copy, keysForgottenMs)}`;
  }
  return undefined;
}

/**
 * Why a copy at `position` in which records of keys used up to `keysForgottenMs` were removed cannot be merged with this region's
 * log; undefined if nothing beyond it was accepted that long ago. Yields, so that requests are answered in between.
 */
export async function repetitionBeyond(
  clock: Clock,
  mine: Wal,
  position: Position,
  keysForgottenMs: number,
): Promise<string | undefined> {
  if (keysForgottenMs === 0) return undefined;
  for (const batches of beyond(mine, position, mine.quarantine)) {
    const repetition = repetitionIn(batches, keysForgottenMs);
    if (repetition !== undefined) return repetition;
    await sleep(clock, 0);
  }
  return undefined;
}

/**
 * Appends to the copy what only this region has, and carries over this region's own marks. Returns how many events were appended.
 * Throws `Fault('storage_full')` if there is no space, `Fault('snapshot_unfit')` if an appended event may have been counted
 * there; the copy is then unusable.
 */
export async function mergeInto(mine: Wal, copy: Wal): Promise<number> {
  let events = 0;
  // Before anything is appended: events that are set aside here are set aside in the merged log too.
  for (const range of mine.quarantine.ranges) await copy.setAside(range);
  for (const batches of beyond(mine, copy.durable, copy.quarantine)) {
    const repetition = repetitionIn(batches, copy.keysForgottenMs);
    if (repetition !== undefined) throw new Fault('snapshot_unfit', repetition);
    await copy.append({ batches });
    for (const { first, last } of batches) events += last - first + 1;
  }
  await carryMarks(mine, copy);
  return events;
}

async function carryMarks(mine: Wal, copy: Wal): Promise<void> {
  await carryDisks(mine, copy);
  const region = mine.mark('region');
  if (region !== undefined) await copy.storeMark('region', region);
  await copy.storeMark('cut', mine.mark('cut') ?? false);
  const waiting = mine.mark('catching_up');
  const caughtUp = waiting === undefined || waiting === false;
  await copy.storeMark('catching_up', caughtUp ? false : CATCHING_UP_INSTALLED);
  // Now the copy's log has everything of both.
  const known = parseRemembered(mine.mark('leadership'), copy.credibleEpoch);
  const theirs = parseRemembered(copy.mark('leadership'), copy.credibleEpoch);
  // As in the role: of two records of one epoch this region's stays, until the key has another.
  if (!isUnsound(known) && (isUnsound(theirs) || known.epoch >= theirs.epoch)) {
    await copy.storeMark('leadership', known);
  }
}

/**
 * The merged store has everything that this one had and is on this disk: it keeps this disk's id, or gets one at the next start
 * if there was none. The peer's disk is one of the others; the account of those is the union of both, since the merged log
 * contains both.
 */
async function carryDisks(mine: Wal, copy: Wal): Promise<void> {
  const own = mine.mark('disk');
  const theirs = copy.mark('disk');
  const region = copy.mark('region');
  const peer: KnownDisk[] =
    isDiskId(theirs) && typeof region === 'string' ? [{ id: theirs, region, knownMs: 0, retired: false }] : [];
  const known = parseDisks(copy.mark('disks')) ?? [];
  const { disks } = joinDisks(parseDisks(mine.mark('disks')) ?? [], [...peer, ...known]);
  await copy.storeMark(
    'disks',
    disks.filter(({ id }) => id !== own),
  );
  await copy.storeMark('disk', own ?? null);
}
