/**
 * Recovery: builds the state in memory from the disk, before anything is served. Registers are read from the store; the ledger
 * from its stored shards and the log's tail after the checkpoint position, each shard skipping what it contains
 * (`checkpoint/checkpoint.ts`). Checksum and chain of every replayed batch are checked. Filter index and text index are built
 * from the live items: if there are many, by threads in the background (`item-indexing.ts`).
 *
 * A stored shard that cannot be used is rebuilt from the log's first batch, if the log still begins there. If it does not, or
 * lacks a part that no checkpoint covers, the region does not start: it recovers from a peer's snapshot.
 */
import { Fault, messageOf } from '../../../shared/errors/errors.ts';
import { type Clock, nextTurnOf } from '../../../shared/kernel/kernel.ts';
import type { Turns } from '../../../shared/kernel/turns.ts';
import type { Log } from '../../../shared/observe/log.ts';
import type { Metrics } from '../../../shared/observe/metrics.ts';
import { type Position, sequenceOf, totalOf } from '../../../shared/protocol/position.ts';
import { laterOf, type Newest, NOTHING_YET } from '../apply/apply.ts';
import { type CheckpointPosition, readCheckpointPosition, unpackShard } from '../checkpoint/checkpoint.ts';
import { IndexQueue } from '../index-queue/index-queue.ts';
import type { Rebuild } from '../rebuild/rebuild.ts';
import type { CatalogWriter, MetadataPage } from '../state/catalog/catalog.ts';
import type { AdoptsFilterIndex, FilterIndex } from '../state/filter-index/filter-index.ts';
import { type Ledger, SHARDS } from '../state/ledger/ledger.ts';
import type { AdoptsText, TextIndex } from '../state/text/text.ts';
import type { Wal } from '../wal/wal.ts';
import { ItemIndexing } from './item-indexing.ts';
import { Replay } from './replay.ts';

/** Minimum interval of progress lines in the log. */
const PROGRESS_MS = 2_000;
const NOWHERE: Position = new Map();
const HINT = 'empty the data directory: the region then comes back from a snapshot of a peer';

export interface RecoverOptions {
  /** Absent: turns are not watched. */
  readonly turns?: Turns | undefined;
  readonly clock: Clock;
  readonly log: Log;
  readonly wal: Wal;
  readonly catalog: CatalogWriter;
  readonly ledger: Ledger;
  readonly filterIndex: Pick<FilterIndex, 'putting' | 'removing'> & AdoptsFilterIndex;
  readonly text: Pick<TextIndex, 'putting' | 'removing'> & AdoptsText;
  /** Absent: nothing is shown of the index queue. */
  readonly metrics?: Metrics;
  /** Runs the action in the next turn of the event loop. */
  readonly nextTurn?: ((action: () => void) => void) | undefined;
  /** Absent: items are indexed one by one, whatever their number. */
  readonly rebuild?: Rebuild | undefined;
}

export interface Recovered {
  readonly applied: Position;
  readonly newest: Newest;
  /** The stored checkpoint position; empty if a stored shard could not be used, until a run has replaced it. */
  readonly checkpointPosition: CheckpointPosition;
  /** Filter index and text index have the first items, and get the others after its `start`. */
  readonly indexing: ItemIndexing;
  /** Brings what is applied from now on to these indexes. */
  readonly indexQueue: IndexQueue;
}

/** Throws `Fault('damaged_log')` or `Fault('damaged_checkpoint')` if the data on disk is damaged. */
export function recover(options: RecoverOptions): Recovered {
  try {
    return recoverAll(options);
  } catch (error) {
    void options.rebuild?.end();
    throw error;
  }
}

function recoverAll({
  clock,
  log,
  turns,
  wal,
  catalog,
  ledger,
  filterIndex,
  text,
  rebuild,
  metrics,
  nextTurn,
}: RecoverOptions): Recovered {
  const startMs = clock.monotonicMs();
  // Registers first: the index builds then have the rest of the start. The catalog numbers the entities of one shard
  // consecutively, so that loading a shard stays in the processor's cache.
  const lend = rebuild && ((page: MetadataPage) => rebuild.add(page));
  const live = hinted(() => catalog.load(wal.itemRegisters(), wal.embeddingRegisters(), lend));
  if (rebuild?.begun !== true) catalog.takeBack();
  const building = rebuild?.begun === true ? { rebuild, ordinals: live } : undefined;
  const documentsMs = clock.monotonicMs();
  const { checkpointPosition, shards, loaded } = loadShards(wal, ledger, log);
  const total = totalOf(wal.durable) - totalOf(checkpointPosition.position);
  ledger.upperBounds.fill();
  const shardsMs = clock.monotonicMs();
  let events = 0;
  let newest = NOTHING_YET;
  let reportedMs = startMs;
  const replay = new Replay({
    wal,
    ledger,
    shards,
    onRead(count) {
      events += count;
      if (clock.monotonicMs() - reportedMs <= PROGRESS_MS) return;
      reportedMs = clock.monotonicMs();
      log.info('log replay started', { events, of: total });
    },
  });
  for (const info of wal.origins()) {
    hinted(() => replay.origin(info, sequenceOf(checkpointPosition.position, info.origin)));
    newest = laterOf(newest, { epoch: info.epoch, hlc: info.lastHlc, acceptedMs: info.lastMs });
  }
  const replayMs = clock.monotonicMs();
  const { unindexed } = catalog;
  const queue = new IndexQueue({
    ...{ turns, clock, log, metrics, unindexed, filterIndex, text },
    nextTurn: nextTurn ?? nextTurnOf(clock),
  });
  const indexing = new ItemIndexing({ clock, log, turns, catalog, queue, filterIndex, text, building });
  if (totalOf(wal.durable) > 0) {
    const endMs = clock.monotonicMs();
    log.info('log replayed', {
      events,
      after: totalOf(checkpointPosition.position),
      shards: loaded,
      items: catalog.size,
      documents_ms: Math.round(documentsMs - startMs),
      shards_ms: Math.round(shardsMs - documentsMs),
      replay_ms: Math.round(replayMs - shardsMs),
      index_ms: Math.round(endMs - replayMs),
      took_ms: Math.round(endMs - startMs),
    });
  }
  return {
    applied: new Map(wal.durable),
    newest,
    checkpointPosition: checkpointPosition,
    indexing,
    indexQueue: queue,
  };
}

interface Loaded {
  /** Everything after it is replayed. */
  readonly checkpointPosition: CheckpointPosition;
  /** The position that each shard contains. */
  readonly shards: readonly Position[];
  readonly loaded: number;
}

function loadShards(wal: Wal, ledger: Ledger, log: Log): Loaded {
  // A mended state cannot be rebuilt from the log.
  const whole = wal.mark('mended') === undefined && wal.origins().every(({ first }) => first === 1);
  /** Continues without a damaged shard if the log can replace it. */
  const orReplay = (error: unknown): void => {
    if (!(error instanceof Fault && error.code === 'damaged_checkpoint')) throw error;
    if (!whole)
      throw new Fault(error.code, `${error.message}; the state cannot be rebuilt from the log alone; ${HINT}`, {
        cause: error,
      });
    log.warn('checkpoint unusable, replaying the whole log', { error: messageOf(error) });
  };
  let damaged = false;
  let checkpointPosition: CheckpointPosition = { position: NOWHERE, atMs: 0 };
  try {
    checkpointPosition = readCheckpointPosition(wal.mark('checkpoint'));
  } catch (error) {
    orReplay(error);
    return { checkpointPosition: checkpointPosition, shards: new Array<Position>(SHARDS).fill(NOWHERE), loaded: 0 };
  }
  const shards = new Array<Position>(SHARDS).fill(checkpointPosition.position);
  let loaded = 0;
  for (const [shard, row] of wal.shards()) {
    try {
      const { at, shard: bytes } = unpackShard(row, checkpointPosition.position);
      ledger.load(shard, bytes);
      shards[shard] = at;
      loaded++;
    } catch (error) {
      orReplay(error);
      shards[shard] = NOWHERE;
      damaged = true;
    }
  }
  return damaged
    ? { checkpointPosition: { position: NOWHERE, atMs: 0 }, shards, loaded }
    : { checkpointPosition: checkpointPosition, shards, loaded };
}

function hinted<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof Fault && error.code === 'damaged_log')) throw error;
    throw new Fault(error.code, `${error.message}; ${HINT}`, { cause: error });
  }
}
