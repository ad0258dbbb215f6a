/**
 * Snapshots: a region's whole store as one consistent copy - registers, ledger shards, copies of keys, origins with their
 * epochs, schema, leadership record, offset, and the log as far as it is kept. A region fetches one from a peer when the
 * log it lacks is not kept any more, or when it starts with an empty disk; an operator takes one as a backup.
 *
 * A snapshot merges, it never replaces: the copy is installed beside the present store, every batch of the present one
 * beyond the copy's position is appended to it, the marks that are this region's own are carried over (its name, its partition switch,
 * the higher leadership record), all is flushed, and only then a pointer switches. So a tail that only this region
 * has is never lost to a bootstrap, and its durable position never goes back.
 *
 * What a crash leaves: before the pointer switched, the present store and a part of a copy, which is fetched on from where it
 * ends, if the peer still serves it; after it, the new store. What nobody points to is removed at the next start.
 *
 * Serving: one copy at a time, made while everything else goes on, kept while it is read and a minute longer. Copies hold
 * only what is flushed. While partitioned by a drill a region neither serves nor fetches.
 */
import type { SnapshotInfo } from '../../../shared/protocol/internal.ts';
import type { Position } from '../../../shared/protocol/position.ts';
import type { SnapshotOffer } from '../../../shared/region-client/region-client.ts';
import type { IncomingStore } from '../store/store.ts';

/** The value of the mark `catching_up` once a snapshot was installed: what is missing now comes by stream and repair. */
export const CATCHING_UP_INSTALLED = 'installed';

export interface SnapshotServer {
  /**
   * The copy to fetch: the one being served, else a new one; a new one too where the one being served does not hold
   * `covering`, the region does by now, and nobody reads it. Refuses while partitioned, with `not_ready` while the copy is being
   * made (ask again), and with `storage_full` without room for it.
   */
  offer(covering?: Position): Promise<SnapshotInfo>;
  /** Its bytes from `offset` on, at most {@link PART_LIMIT_BYTES}; `Refusal('snapshot_gone')` when it is not served any more. */
  read(id: string, offset: number): Promise<Uint8Array>;
  /** The lowest position a fetcher of a copy may still ask the log for; undefined: nobody fetches. Trimming stays above it. */
  readonly needed: Position | undefined;
  /** Resolves when nothing reads the store for a copy any more. */
  stop(): Promise<void>;
}

/** Bytes of one answer. */
export const PART_LIMIT_BYTES = 4 * 1024 * 1024;

export interface SnapshotProgress {
  readonly peer: string;
  readonly bytes: number;
  readonly of: number;
}

/** Deciding when to fetch, and from whom. */
export interface Bootstrap {
  start(): void;
  /** A peer that holds `origin` has trimmed what comes after this region's position: only a snapshot helps. */
  trimmedAt(peer: string, origin: string): void;
  /** This region is empty and a snapshot is what it waits for: repair would fetch the same, batch by batch. */
  readonly holdsRepair: boolean;
  /** Why this region's schema may not follow the peers'; nothing more is fetched then. */
  readonly schemaBehind: string | undefined;
  /** Bytes fetched of bytes to fetch, while it fetches. */
  readonly progress: SnapshotProgress | undefined;
  /** Why a snapshot that is needed cannot be had from any peer; undefined: none is needed, or it may be had. */
  readonly obstacle: string | undefined;
  stop(): Promise<void>;
}

/** A whole, checked copy that can take this region's place. Handed over closed; its receiver merges and switches. */
export interface ArrivedSnapshot {
  readonly peer: string;
  readonly info: SnapshotOffer;
  readonly incoming: IncomingStore;
}
