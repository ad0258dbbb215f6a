/**
 * The journal: what happened to the cluster as a whole - leaderships, partitions, starts of regions, the end of a merge - kept in
 * one key of the control bucket, so that it survives every process. Contract of this folder.
 *
 * Every router observes the same changes. What is recorded is a *state* of a *subject* (the leadership, the partition of a region):
 * an entry is appended when the state is another than the recorded one, and newer; an equal one only adds details that were not
 * known yet, such as the key that asked for it. So several routers, repetitions and restarts make one entry of one change.
 *
 * Without NATS changes wait in memory and are recorded when it is back; those of a router that ends before are observed by another.
 * A key that was lost, restored from an older copy or made invalid is written again by a router that knows more.
 */
import type { PromoteAnswer } from '../cluster/cluster.ts';

/** Entries that are kept: the newest. */
export const JOURNAL_LIMIT = 256;
/** Characters of a text in an entry. */
export const JOURNAL_TEXT_LIMIT = 128;

/** Parameters of `GET /cluster/events`. */
export const journalParameters = ['limit', 'after'] as const;

export type JournalKind =
  | 'leader_changed'
  | 'partitioned'
  | 'healed'
  | 'region_started'
  | 'merge_ended'
  | 'disk_retired'
  | 'event_set_aside';

/** `automatic`: the former leader was unresponsive. `succession`: it was about to stop. */
export type HowLeading = 'planned' | 'forced' | 'automatic' | 'succession';

/** What an entry says; texts have at most {@link JOURNAL_TEXT_LIMIT} characters. */
export interface JournalDetails {
  readonly kind: JournalKind;
  /** The new leader, the partitioned region, …. */
  readonly region?: string;
  /** The former leader. */
  readonly previous?: string;
  readonly epoch?: number;
  readonly how?: HowLeading;
  /** Events of the former leader that the new one lacked; null if unknown. */
  readonly left_behind?: number | null;
  /** When the partition ends by itself, RFC 3339 on the region's clock. */
  readonly heal_at?: string;
  /** Of the program that was started. */
  readonly version?: string;
  /** The disk, or the range of events. */
  readonly what?: string;
  /** The name of the key of the operator who asked for it; null: without a key. */
  readonly key?: string | null;
  /** Of the operator's request. */
  readonly request_id?: string;
}

/** One entry of `GET /cluster/events`, as sent. */
export interface JournalEntry extends JournalDetails {
  /** Grows by one with each entry. */
  readonly id: number;
  /** When a router recorded it, RFC 3339 on that router's clock. */
  readonly at: string;
}

/** The answer of `GET /cluster/events`, as sent. */
export interface JournalAnswer {
  /** The newest first. */
  readonly events: readonly JournalEntry[];
  /** The control bucket does not answer: what this router read last. */
  readonly stale?: true;
}

export interface JournalRequest {
  readonly limit: number;
  /** Only entries with a higher id. */
  readonly after: number;
}

export interface Journal {
  list(request: JournalRequest): Promise<JournalAnswer>;
}

/** Who asked for an operation. */
export type Asked = Pick<JournalDetails, 'key' | 'request_id'>;

/** Takes what only the router knows that did it: the change itself is observed by every router. */
export interface Journalist {
  promoted(answer: PromoteAnswer, how: HowLeading, asked?: Asked): void;
  /** A region was partitioned or healed. */
  switched(region: string, state: 'partitioned' | 'healed', asked: Asked): void;
  /** An operator's action that is no state of a region: the disk or the range of events. */
  acted(kind: 'disk_retired' | 'event_set_aside', what: string, asked: Asked): void;
}
