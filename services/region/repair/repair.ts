/**
 * Repair: by position, from peers. Every region serves whole durable batches of any origin it holds and reports its durable
 * position; on a gap in the stream, or if a peer holds more of any origin than the stream delivered, a region fetches what it
 * lacks and adds it through the same entry (`Ingest`). Every copy of an origin is a prefix, so the longest one is complete; a
 * dead region's events are served by every region that has them.
 *
 * What a crash leaves: nothing of its own; accepted batches are in the log.
 */

/** Snapshots that may bring what repair would fetch. */
export interface AwaitedSnapshots {
  /** While true nothing is fetched, because a snapshot with everything is awaited. */
  readonly holdsRepair: boolean;
  /** The peer holds more of the origin, but has trimmed the next batch. */
  trimmedAt(peer: string, origin: string): void;
}

export interface Repair {
  /** Before `start`: leaves to snapshots what they bring. */
  deferTo(snapshots: AwaitedSnapshots): void;
  start(): void;
  /** Checks now instead of at the next report. */
  nudge(): void;
  setEnabled(enabled: boolean): void;
  stop(): Promise<void>;
}
