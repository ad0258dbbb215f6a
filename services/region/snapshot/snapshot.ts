/**
 * Snapshots: a region's whole store as one consistent copy: registers, ledger shards, idempotency records, origins with their
 * epochs, schema, leadership record, offset, and the log as far as it is kept. A region fetches one from a peer if the batches it
 * lacks were trimmed, or if it starts with an empty disk; an operator makes one as a backup.
 *
 * A snapshot is merged and never simply replaces the store: the copy is opened in addition to the present store, every batch of
 * the present one beyond the copy's position is appended to it, this region's own marks are carried over (its name, its partition
 * switch, the higher leadership record), everything is flushed, and only then a pointer switches. So a bootstrap never loses a
 * tail that only this region has, and the durable position never goes back.
 *
 * What a crash leaves: before the pointer switched, the present store and a partial copy, whose transfer continues if the peer
 * still serves it; after it, the new store. Unreferenced stores are removed at the next start.
 *
 * Serving: one copy at a time, made in the background, kept while it is read and a minute longer. Copies contain only flushed
 * data. A partitioned region neither serves nor fetches.
 */
import type { SnapshotInfo } from '../../../shared/protocol/internal.ts';
import type { Position } from '../../../shared/protocol/position.ts';
import type { SnapshotOffer } from '../../../shared/region-client/region-client.ts';
import type { IncomingStore } from '../store/store.ts';

/** The value of the mark `catching_up` once a snapshot was installed: missing events are then received by stream and repair. */
export const CATCHING_UP_INSTALLED = 'installed';

export interface SnapshotServer {
  /**
   * The copy to fetch: the one being served, otherwise a new one; also a new one if the one being served does not have
   * `covering`, the region does by now, and the copy is not being read. Refuses while partitioned, with `not_ready` while the
   * copy is being made (ask again), and with `storage_full` without space for it.
   */
  offer(covering?: Position): Promise<SnapshotInfo>;
  /** Its bytes from `offset` on, at most {@link PART_LIMIT_BYTES}; `Refusal('snapshot_gone')` if it is no longer served. */
  read(id: string, offset: number): Promise<Uint8Array>;
  /**
   * The lowest position after which a peer that fetches a copy may still ask for batches; undefined if none does. Batches after
   * it are not trimmed.
   */
  readonly needed: Position | undefined;
  /** Resolves when the store is no longer read for a copy. */
  stop(): Promise<void>;
}

/** Bytes of one answer. */
export const PART_LIMIT_BYTES = 4 * 1024 * 1024;

export interface SnapshotProgress {
  readonly peer: string;
  readonly bytes: number;
  readonly of: number;
}

/** Decides when to fetch, and from which peer. */
export interface Bootstrap {
  start(): void;
  /**
   * Called when a peer that holds `origin` has trimmed the batches after this region's position, so that only a snapshot helps.
   */
  trimmedAt(peer: string, origin: string): void;
  /** True while this region is empty and waits for a snapshot: repair would fetch the same, batch by batch. */
  readonly holdsRepair: boolean;
  /** Why this region's schema may not follow the peers'; nothing is fetched then. */
  readonly schemaBehind: string | undefined;
  /** Bytes fetched of bytes to fetch, while it fetches. */
  readonly progress: SnapshotProgress | undefined;
  /** Why no peer can serve a needed snapshot; undefined if none is needed, or one may be served. */
  readonly obstacle: string | undefined;
  stop(): Promise<void>;
}

/** A complete, checked copy that can replace this region's store. It is passed on closed; the receiver merges and switches. */
export interface ArrivedSnapshot {
  readonly peer: string;
  readonly info: SnapshotOffer;
  readonly incoming: IncomingStore;
}
