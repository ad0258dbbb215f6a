/** What writes take, and what writes and reads are answered. Generated from the OpenAPI document by `npm run docs:openapi`. */

/** The id of an item. */
export type EntityId = number;

/** An RFC 3339 time from 1970 on, or integer milliseconds since 1970, of the years 2000 to 9999: seconds and microseconds are refused. */
export type Time = string | number;

/** A place in the log, as writes and reads return it: `origin:sequence`, several separated by commas. Opaque to clients. Empty before the first write. */
export type Position = string;

/** A flat object. Lists hold strings. */
export type Metadata = Readonly<Record<string, string | number | boolean | readonly string[]>>;

/** A put of an item. */
export interface Item {
  readonly entity_id: EntityId;
  /** Replaces the former metadata. */
  readonly metadata: Metadata;
  /** When the item was created, if before its first put. Not in the future; of several puts the lowest counts. */
  readonly created_at?: Time;
}

/** A change of some metadata. */
export interface ItemPatch {
  /** Fields are put or replaced; null removes one; all others stay (RFC 7396). */
  readonly metadata: Readonly<Record<string, string | number | boolean | readonly string[] | null>>;
}

/** A put of an embedding. */
export interface Embedding {
  readonly entity_id: EntityId;
  /** As many as the schema of the cluster has dimensions (4 by default). */
  readonly values: readonly number[];
}

/** One engagement with an item. */
export interface Signal {
  /** Signals may arrive before their item. */
  readonly entity_id: EntityId;
  /** A signal of the schema of the cluster. */
  readonly signal: string;
  /** In steps of 0.001. */
  readonly weight?: number;
  /** When it happened; at most the time of acceptance, which it is without. */
  readonly timestamp?: Time;
  /** Takes back what was given with the same Idempotency-Key and otherwise the same body. In all elements of a bulk, or in none. */
  readonly retract?: boolean;
}

/** Takes back the signal at a position. Without an Idempotency-Key, and not in a bulk. */
export interface SignalAtPosition {
  /** Of one signal that was given under an idempotency key. */
  readonly position: Position;
  /** Required by `POST /signals`. */
  readonly retract?: true;
}

/** The write is accepted. */
export interface WriteAnswer {
  /** How many writes. */
  readonly accepted: number;
  /** Of the last write: pass it as `min_position` to read it in any region. */
  readonly position: Position;
  /** `local`: flushed on the disk of the leader; `stream`: acknowledged by the stream as well. */
  readonly durability: 'local' | 'stream';
  /** Of a single write. */
  readonly entity_id?: EntityId;
  /** It was accepted before, under the same idempotency key: nothing was added. */
  readonly replayed?: true;
}

/** By signal with events: the sum of its weights in each of its windows, and `decayed`; null: not known for this read time any more. */
export type Signals = Readonly<Record<string, Readonly<Record<string, number | null>>>>;

export interface ItemAnswer {
  /** The region that answers. */
  readonly region: string;
  /** What it has applied. */
  readonly position: Position;
  /** Events of the leader that it lacks, as last reported; null before the first report. */
  readonly lag_events: number | null;
  /** The read time. */
  readonly at: string;
  readonly entity_id: EntityId;
  readonly metadata: Metadata;
  /** The lowest creation time of all its puts. */
  readonly created_at: string;
  readonly updated_at: string;
  /** Null without one. */
  readonly embedding: readonly number[] | null;
  readonly signals: Signals;
}

export interface StoredItem {
  readonly entity_id: EntityId;
  readonly metadata: Metadata;
  /** The lowest creation time of all its puts. */
  readonly created_at: string;
  readonly updated_at: string;
  /** Null without one. */
  readonly embedding: readonly number[] | null;
  readonly signals: Signals;
}

export interface ItemsAnswer {
  /** The region that answers. */
  readonly region: string;
  /** What it has applied. */
  readonly position: Position;
  /** Events of the leader that it lacks, as last reported; null before the first report. */
  readonly lag_events: number | null;
  /** The read time. */
  readonly at: string;
  /** In the order asked for, each once. */
  readonly items: readonly StoredItem[];
  /** Ids without an item. */
  readonly missing: readonly EntityId[];
  /** Items that would make the answer too large: ask for them next. */
  readonly remaining: readonly EntityId[];
}

export interface ScorePart {
  /** The measurement, such as `view velocity 24h` or `title:jazz`. */
  readonly term: string;
  /** The measurement, before its weight. */
  readonly value: number;
  readonly weight: number;
  /** Its part of the score; the parts add up to it. */
  readonly part: number;
  /** Of a text: the word or phrase of the query that it is for. */
  readonly asked?: string;
  /** How the two match. */
  readonly match?: 'exact' | 'prefix' | 'typo' | 'wildcard' | 'synonym' | 'phrase';
  /** The word of the item. */
  readonly word?: string;
  /** Edits between the two, of a typo. */
  readonly distance?: number;
}

export interface RankedItem {
  readonly entity_id: EntityId;
  /** From 1, over all pages. */
  readonly rank: number;
  readonly score: number;
  readonly metadata: Metadata;
  readonly signals: Signals;
  /** With `explain`. */
  readonly explain?: readonly ScorePart[];
  /** With `highlight`: by field that has a word of the query, with `<mark>`; all else is escaped. */
  readonly highlights?: Readonly<Record<string, string | readonly string[]>>;
  /** A curation of the schema puts it first. */
  readonly pinned?: true;
}

export interface FeedAnswer {
  /** The region that answers. */
  readonly region: string;
  /** What it has applied. */
  readonly position: Position;
  /** Events of the leader that it lacks, as last reported; null before the first report. */
  readonly lag_events: number | null;
  /** The read time. */
  readonly at: string;
  readonly items: readonly RankedItem[];
  /** For the next page; null after the last. */
  readonly next_cursor: string | null;
  readonly profile: string;
  /** Items that pass the filters and the gates of the profile. */
  readonly total_scored: number;
  /** Limits that shaped the page or the search, and what of the request they changed. */
  readonly relaxed: readonly string[];
  /** Parameters without effect. */
  readonly notes: readonly string[];
  /** By field that was asked for: its values with the number of items that have them, the most frequent first. */
  readonly facets?: Readonly<
    Record<
      string,
      readonly {
        /** A value, or a range as it was asked for. */
        readonly value: string | number;
        readonly count: number;
      }[]
    >
  >;
  /** Of the fields with numbers. */
  readonly facet_stats?: Readonly<
    Record<
      string,
      {
        readonly min: number;
        readonly max: number;
      }
    >
  >;
}

export interface SearchAnswer {
  /** The region that answers. */
  readonly region: string;
  /** What it has applied. */
  readonly position: Position;
  /** Events of the leader that it lacks, as last reported; null before the first report. */
  readonly lag_events: number | null;
  /** The read time. */
  readonly at: string;
  readonly items: readonly RankedItem[];
  /** For the next page; null after the last. */
  readonly next_cursor: string | null;
  /** Items of the result. */
  readonly total_matched: number;
  /** Limits that shaped the page or the search, and what of the request they changed. */
  readonly relaxed: readonly string[];
  /** As it was asked. */
  readonly query?: string;
  /** By field that was asked for: its values with the number of items that have them, the most frequent first. */
  readonly facets?: Readonly<
    Record<
      string,
      readonly {
        /** A value, or a range as it was asked for. */
        readonly value: string | number;
        readonly count: number;
      }[]
    >
  >;
  /** Of the fields with numbers. */
  readonly facet_stats?: Readonly<
    Record<
      string,
      {
        readonly min: number;
        readonly max: number;
      }
    >
  >;
}

export interface CombinedSearchAnswer {
  /** The region that answers. */
  readonly region: string;
  /** What it has applied. */
  readonly position: Position;
  /** Events of the leader that it lacks, as last reported; null before the first report. */
  readonly lag_events: number | null;
  /** The read time. */
  readonly at: string;
  readonly items: readonly RankedItem[];
  /** For the next page; null after the last. */
  readonly next_cursor: string | null;
  /** Items of the result. */
  readonly total_matched: number;
  /** Limits that shaped the page or the search, and what of the request they changed. */
  readonly relaxed: readonly string[];
  /** How many items each list contributed. */
  readonly candidates: {
    readonly text?: number;
    readonly vector?: number;
  };
  /** As it was asked. */
  readonly query?: string;
  /** By field that was asked for: its values with the number of items that have them, the most frequent first. */
  readonly facets?: Readonly<
    Record<
      string,
      readonly {
        /** A value, or a range as it was asked for. */
        readonly value: string | number;
        readonly count: number;
      }[]
    >
  >;
  /** Of the fields with numbers. */
  readonly facet_stats?: Readonly<
    Record<
      string,
      {
        readonly min: number;
        readonly max: number;
      }
    >
  >;
}

export interface SuggestAnswer {
  /** The region that answers. */
  readonly region: string;
  /** What it has applied. */
  readonly position: Position;
  readonly prefix: string;
  readonly suggestions: readonly {
    readonly text: string;
    /** Items that have the word. */
    readonly documents: number;
  }[];
}
