/** The parameters and bodies of the operations. Generated from the OpenAPI document by `npm run docs:openapi`. */
import type { EntityId, Position, Time } from './api-types.ts';

export interface GetItemsQuery {
  /** Items, in the order in which they are answered. */
  readonly ids: readonly EntityId[];
  /** The metadata fields to show; without it all. Names with signs of their own stand in double quotes. */
  readonly fields?: string;
  /** The region that answers. Default: the leader, else the most advanced region that answers. */
  readonly region?: string;
  /** The `position` of a write or read: the region waits up to 2 s until it has applied it. */
  readonly min_position?: Position;
  /** The time for which ages, windows and decay are computed; events after it do not count. */
  readonly at?: Time;
}

export interface GetItemQuery {
  /** The metadata fields to show; without it all. Names with signs of their own stand in double quotes. */
  readonly fields?: string;
  /** The region that answers. Default: the leader, else the most advanced region that answers. */
  readonly region?: string;
  /** The `position` of a write or read: the region waits up to 2 s until it has applied it. */
  readonly min_position?: Position;
  /** The time for which ages, windows and decay are computed; events after it do not count. */
  readonly at?: Time;
}

export interface GetFeedQuery {
  /** The ranking: trending, hot, new, top, best, rising, controversial, debated, hidden_gems, most_viewed, most_liked, shuffle, related, or one that the schema of the cluster declares (docs/ranking.md). */
  readonly profile?: string;
  /** Items of a page. A page of large items has fewer, and a cursor if there are more. */
  readonly limit?: number;
  /** `next_cursor` of the page before, with the same other parameters. */
  readonly cursor?: string;
  /** Selects items by their metadata (docs/api.md#filters). Of several all must hold. */
  readonly filter?: readonly string[];
  /** Items to leave out, as if they did not exist. */
  readonly exclude?: readonly EntityId[];
  /** At most so many items of each value of a field on a page, as `field:count`. */
  readonly max_per?: string;
  /** One to four keys in the order of which items are sorted, instead of the score (docs/api.md#sorting). */
  readonly sort?: string;
  /** The metadata fields to show; without it all. Names with signs of their own stand in double quotes. */
  readonly fields?: string;
  /** Fields whose values are counted over the whole result, or ranges of a field in brackets. */
  readonly facets?: string;
  /** Values of a facet. */
  readonly facet_limit?: number;
  /** The window of profiles that sum over one. */
  readonly window?: '1h' | '24h' | '7d' | 'all';
  /** For the profile `related`: the item to start from. */
  readonly entity_id?: EntityId;
  /** For the profile `shuffle`: another seed is another order. */
  readonly seed?: string;
  /** Whether each item has the parts of its score. */
  readonly explain?: boolean;
  /** The time for which ages, windows and decay are computed; events after it do not count. */
  readonly at?: Time;
  /** Accepted; changes nothing, and `notes` says so. */
  readonly user_id?: string;
  /** The region that answers. Default: the leader, else the most advanced region that answers. */
  readonly region?: string;
  /** The `position` of a write or read: the region waits up to 2 s until it has applied it. */
  readonly min_position?: Position;
}

export interface PostFeedBody {
  /** The ranking: trending, hot, new, top, best, rising, controversial, debated, hidden_gems, most_viewed, most_liked, shuffle, related, or one that the schema of the cluster declares (docs/ranking.md). */
  readonly profile?: string;
  /** Items of a page. A page of large items has fewer, and a cursor if there are more. */
  readonly limit?: number;
  /** `next_cursor` of the page before, with the same other parameters. */
  readonly cursor?: string;
  /** Selects items by their metadata (docs/api.md#filters). Of several all must hold. */
  readonly filter?: string | readonly string[];
  /** Items to leave out, as if they did not exist. */
  readonly exclude?: readonly EntityId[];
  /** At most so many items of each value of a field on a page, as `field:count`. */
  readonly max_per?: string;
  /** One to four keys in the order of which items are sorted, instead of the score (docs/api.md#sorting). */
  readonly sort?: string | readonly string[];
  /** The metadata fields to show; without it all. Names with signs of their own stand in double quotes. */
  readonly fields?: string | readonly string[];
  /** Fields whose values are counted over the whole result, or ranges of a field in brackets. */
  readonly facets?: string | readonly string[];
  /** Values of a facet. */
  readonly facet_limit?: number;
  /** The window of profiles that sum over one. */
  readonly window?: '1h' | '24h' | '7d' | 'all';
  /** For the profile `related`: the item to start from. */
  readonly entity_id?: EntityId;
  /** For the profile `shuffle`: another seed is another order. */
  readonly seed?: string | number;
  /** Whether each item has the parts of its score. */
  readonly explain?: boolean;
  /** The time for which ages, windows and decay are computed; events after it do not count. */
  readonly at?: Time;
  /** Accepted; changes nothing, and `notes` says so. */
  readonly user_id?: string;
  /** The region that answers. Default: the leader, else the most advanced region that answers. */
  readonly region?: string;
  /** The `position` of a write or read: the region waits up to 2 s until it has applied it. */
  readonly min_position?: Position;
}

export interface GetSearchQuery {
  /** What to search for; `*` or an empty text: every item, the newest first. */
  readonly query: string;
  /** Items of a page. A page of large items has fewer, and a cursor if there are more. */
  readonly limit?: number;
  /** `next_cursor` of the page before, with the same other parameters. */
  readonly cursor?: string;
  /** Selects items by their metadata (docs/api.md#filters). Of several all must hold. */
  readonly filter?: readonly string[];
  /** Items to leave out, as if they did not exist. */
  readonly exclude?: readonly EntityId[];
  /** At most so many items of each value of a field on a page, as `field:count`. */
  readonly max_per?: string;
  /** The ranking: trending, hot, new, top, best, rising, controversial, debated, hidden_gems, most_viewed, most_liked, shuffle, related, or one that the schema of the cluster declares (docs/ranking.md). */
  readonly profile?: string;
  /** How much `profile` weighs beside the text. */
  readonly profile_weight?: number;
  /** One to four keys in the order of which items are sorted, instead of the score (docs/api.md#sorting). */
  readonly sort?: string;
  /** The metadata fields to show; without it all. Names with signs of their own stand in double quotes. */
  readonly fields?: string;
  /** Fields whose values are counted over the whole result, or ranges of a field in brackets. */
  readonly facets?: string;
  /** Values of a facet. */
  readonly facet_limit?: number;
  /** Text fields of the schema in which the words of the query are marked. */
  readonly highlight?: string;
  /** Characters of a highlight. */
  readonly snippet_length?: number;
  /** Whether each item has the parts of its score. */
  readonly explain?: boolean;
  /** The time for which ages, windows and decay are computed; events after it do not count. */
  readonly at?: Time;
  /** The region that answers. Default: the leader, else the most advanced region that answers. */
  readonly region?: string;
  /** The `position` of a write or read: the region waits up to 2 s until it has applied it. */
  readonly min_position?: Position;
  /** `plain`: text as people type it; `lunr`: with operators (docs/search.md). */
  readonly syntax?: 'plain' | 'lunr';
  /** How many words of a plain text must be in an item. */
  readonly matching?: 'all' | 'any' | 'most';
}

export interface PostSearchBody {
  /** What to search for; `*` or an empty text: every item, the newest first. */
  readonly query?: string;
  /** As many values as the schema has dimensions: the items with the nearest embeddings. */
  readonly vector?: readonly number[];
  /** Items of a page. A page of large items has fewer, and a cursor if there are more. */
  readonly limit?: number;
  /** `next_cursor` of the page before, with the same other parameters. */
  readonly cursor?: string;
  /** Selects items by their metadata (docs/api.md#filters). Of several all must hold. */
  readonly filter?: string | readonly string[];
  /** Items to leave out, as if they did not exist. */
  readonly exclude?: readonly EntityId[];
  /** At most so many items of each value of a field on a page, as `field:count`. */
  readonly max_per?: string;
  /** The ranking: trending, hot, new, top, best, rising, controversial, debated, hidden_gems, most_viewed, most_liked, shuffle, related, or one that the schema of the cluster declares (docs/ranking.md). */
  readonly profile?: string;
  /** How much `profile` weighs beside the text. */
  readonly profile_weight?: number;
  /** One to four keys in the order of which items are sorted, instead of the score (docs/api.md#sorting). */
  readonly sort?: string | readonly string[];
  /** The metadata fields to show; without it all. Names with signs of their own stand in double quotes. */
  readonly fields?: string | readonly string[];
  /** Fields whose values are counted over the whole result, or ranges of a field in brackets. */
  readonly facets?: string | readonly string[];
  /** Values of a facet. */
  readonly facet_limit?: number;
  /** Text fields of the schema in which the words of the query are marked. */
  readonly highlight?: string | readonly string[];
  /** Characters of a highlight. */
  readonly snippet_length?: number;
  /** Whether each item has the parts of its score. */
  readonly explain?: boolean;
  /** The time for which ages, windows and decay are computed; events after it do not count. */
  readonly at?: Time;
  /** The region that answers. Default: the leader, else the most advanced region that answers. */
  readonly region?: string;
  /** The `position` of a write or read: the region waits up to 2 s until it has applied it. */
  readonly min_position?: Position;
  /** `plain`: text as people type it; `lunr`: with operators (docs/search.md). */
  readonly syntax?: 'plain' | 'lunr';
  /** How many words of a plain text must be in an item. */
  readonly matching?: 'all' | 'any' | 'most';
}

export interface SuggestQuery {
  /** The beginning of a text; its last word is completed. */
  readonly prefix: string;
  /** Items of a page. A page of large items has fewer, and a cursor if there are more. */
  readonly limit?: number;
  /** The region that answers. Default: the leader, else the most advanced region that answers. */
  readonly region?: string;
  /** The `position` of a write or read: the region waits up to 2 s until it has applied it. */
  readonly min_position?: Position;
}

export interface GetEventsQuery {
  /** At most so many entries, the newest. */
  readonly limit?: number;
  /** Only entries with a higher id. */
  readonly after?: number;
}

export interface PromoteBody {
  /** The name of a region. */
  readonly region: string;
  /** Without the former leader: its last events may be unknown to the new one, and are merged later. */
  readonly force?: boolean;
}

export interface PartitionBody {
  /** The name of a region. */
  readonly region: string;
  /** Seconds, or a text such as `30s`, `5m`, `2h`; at most 24 h. The region heals itself then. */
  readonly heal_after?: number | string;
}

export interface HealBody {
  /** The name of a region. */
  readonly region: string;
  /** Answers when both sides have what the other had, at most 30 s later. */
  readonly wait?: boolean;
}

export interface HoldDrillBody {
  /** Drawn for each drill. */
  readonly id: string;
  /** On one line. */
  readonly title: string;
}

export interface EndDrillBody {
  /** Drawn for each drill. */
  readonly id: string;
}

export interface RetireDiskBody {
  /** As `absent_disks` names it. */
  readonly disk: string;
}

export interface TraceBody {
  /** As a write or a read returned it. */
  readonly position?: string;
  /** The `Idempotency-Key` of a write. */
  readonly key?: string;
  /** The `x-request-id` of a write. */
  readonly request_id?: string;
}

export interface AddQuarantineBody {
  readonly origin: string;
  readonly sequence: number;
  /** All from `sequence` to this; without it one. */
  readonly last?: number;
}
