/**
 * The typed client of the public surface: `import { TidalClient } from 'tidaldb-cluster/client'`. Its types and its table of operations
 * are generated from the OpenAPI document.
 *
 * - A write has a random idempotency key, the same for every try: it counts once, whatever happens to connections, routers and leaders.
 * - A read waits until the region that answers has applied what this client has written.
 * - Several routers: the next one is asked when one is away.
 */
import type { Clock, Random } from '../kernel/kernel.ts';
import { systemClock, systemRandom } from '../kernel/system.ts';
import type * as api from './api-types.ts';
import type * as cluster from './cluster-types.ts';
import { TidalProblem, TidalUnanswered } from './errors.ts';
import { baseUrlOf, isHeaderValue, isKey, keyRule, urlRule } from './given.ts';
import { operations } from './operations.ts';
import { WrittenPosition } from './positions.ts';
import type * as requests from './request-types.ts';
import { type Answer, Sending } from './sending.ts';

export type { api, cluster, requests };
export { TidalProblem, TidalUnanswered };

const DEADLINE_MS = 30_000;
/** Longer than a router takes for a read, or holds a write and waits for its answer. */
const ATTEMPT_MS = 25_000;
/** Of promotions, heals that wait and verifications. */
const LONG_MS = 60_000;
const ATTEMPTS = 20;
const KEY_BYTES = 16;

export interface TidalClientOptions {
  /** Routers, such as `http://127.0.0.1:9500`; without a user, a password, a query or a fragment. */
  readonly urls: readonly string[];
  /** Visible ASCII characters without spaces. Absent: the cluster has no keys. */
  readonly key?: string | undefined;
  /** Whether reads wait for what this client has written; default true. */
  readonly readYourWrites?: boolean;
  /** For all tries of a call, ms; default 30,000, of promotions, heals and verifications 60,000. */
  readonly deadlineMs?: number;
  /** For one try, ms; default 25,000, of promotions, heals and verifications 60,000. */
  readonly attemptMs?: number;
  /** Tries of a call; default 20. 1: nothing is sent again. */
  readonly attempts?: number;
  readonly fetch?: typeof fetch;
  readonly clock?: Clock;
  readonly random?: Random;
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** For all tries, ms. */
  readonly deadlineMs?: number;
  /** Returned and logged by the router. */
  readonly requestId?: string;
}

export interface WriteOptions extends CallOptions {
  /** Default: a random one for the call. False: none; then the write is sent again only if it was refused. */
  readonly idempotencyKey?: string | false;
  /** `stream`: refused or failed unless the stream acknowledges it. */
  readonly durability?: 'stream';
}

export type RetractOptions = Omit<WriteOptions, 'idempotencyKey'>;

export interface ReadOptions extends CallOptions {
  /** Instead of what this client has written; null: the read waits for nothing. */
  readonly minPosition?: string | null;
}

type OperationId = keyof typeof operations;

interface Made extends CallOptions {
  readonly id?: number;
  readonly query?: object;
  readonly headers?: Readonly<Record<string, string>>;
  readonly type?: string;
  readonly body?: string;
  readonly repeatable?: boolean;
  readonly isLong?: boolean;
  /** A text in every answer. */
  readonly member?: string;
}

type Cursored = { readonly next_cursor: string | null };

export class TidalClient {
  private readonly options: TidalClientOptions;
  private readonly random: Random;
  private readonly sending: Sending;
  private readonly written = new WrittenPosition();

  constructor(options: TidalClientOptions) {
    const { urls, key, random = systemRandom, clock = systemClock, attempts = ATTEMPTS } = options;
    if (urls.length === 0) throw new TypeError('TidalClient: urls must have at least one router');
    const bases = urls.map((url, at) => {
      const base = baseUrlOf(url);
      if (base === undefined) throw new TypeError(`TidalClient: urls[${at}] must be ${urlRule}`);
      return base;
    });
    if (key !== undefined && !isKey(key)) throw new TypeError(`TidalClient: key must be ${keyRule}`);
    this.options = options;
    this.random = random;
    this.sending = new Sending({
      ...{ urls: bases, clock, random, attempts },
      fetch: options.fetch ?? fetch,
    });
  }

  /** What this client has written, as its reads wait for it; undefined: nothing. For another client: `follow`. */
  get position(): string | undefined {
    return this.written.text;
  }

  /** Reads wait for this position too, of another client's write. */
  follow(position: string): void {
    this.written.add(position);
  }

  /** Reads wait for no write before now: after a forced promotion, for one, that left writes behind. */
  forget(): void {
    this.written.clear();
  }

  putItem(item: api.Item, options?: WriteOptions): Promise<api.WriteAnswer> {
    return this.write('putItems', { body: JSON.stringify(item) }, options);
  }

  /** All or nothing; at most 20,000 and 2 MiB. */
  putItems(items: readonly api.Item[], options?: WriteOptions): Promise<api.WriteAnswer> {
    return this.write('putItems', lines(items), options);
  }

  /** Null removes a field; fields that are not named stay. */
  patchItem(id: number, metadata: api.ItemPatch['metadata'], options?: WriteOptions): Promise<api.WriteAnswer> {
    return this.write('patchItem', { id, body: JSON.stringify({ metadata }) }, options);
  }

  deleteItem(id: number, options?: WriteOptions): Promise<api.WriteAnswer> {
    return this.write('deleteItem', { id }, options);
  }

  putEmbedding(embedding: api.Embedding, options?: WriteOptions): Promise<api.WriteAnswer> {
    return this.write('putEmbeddings', { body: JSON.stringify(embedding) }, options);
  }

  /** All or nothing; at most 20,000 and 2 MiB. */
  putEmbeddings(embeddings: readonly api.Embedding[], options?: WriteOptions): Promise<api.WriteAnswer> {
    return this.write('putEmbeddings', lines(embeddings), options);
  }

  addSignal(signal: api.Signal, options?: WriteOptions): Promise<api.WriteAnswer> {
    return this.write('addSignals', { body: JSON.stringify(signal) }, options);
  }

  /** All or nothing; at most 20,000 and 2 MiB. */
  addSignals(signals: readonly api.Signal[], options?: WriteOptions): Promise<api.WriteAnswer> {
    return this.write('addSignals', lines(signals), options);
  }

  /** What `addSignal` gave with the same signal and key. */
  takeBackSignal(signal: api.Signal, idempotencyKey: string, options?: RetractOptions): Promise<api.WriteAnswer> {
    return this.write('takeBackSignals', { body: JSON.stringify(signal) }, { ...options, idempotencyKey });
  }

  /** What `addSignals` gave, whole. */
  takeBackSignals(
    signals: readonly api.Signal[],
    idempotencyKey: string,
    options?: RetractOptions,
  ): Promise<api.WriteAnswer> {
    return this.write('takeBackSignals', lines(signals), { ...options, idempotencyKey });
  }

  /** By the position that `addSignal` answered; it needs no key of yours. */
  takeBackSignalAt(position: string, options?: RetractOptions): Promise<api.WriteAnswer> {
    const made = { body: JSON.stringify({ position }), repeatable: true };
    return this.write('takeBackSignals', made, { ...options, idempotencyKey: false });
  }

  getItem(id: number, query: requests.GetItemQuery = {}, options?: ReadOptions): Promise<api.ItemAnswer> {
    return this.read('getItem', { id, query }, options);
  }

  /** At most 200. */
  getItems(
    ids: readonly number[],
    query: Omit<requests.GetItemsQuery, 'ids'> = {},
    options?: ReadOptions,
  ): Promise<api.ItemsAnswer> {
    return this.read('getItems', { query: { ...query, ids: ids.join(',') } }, options);
  }

  feed(asked: requests.PostFeedBody = {}, options?: ReadOptions): Promise<api.FeedAnswer> {
    return this.read('postFeed', { body: JSON.stringify(asked) }, options);
  }

  search(asked: requests.PostSearchBody, options?: ReadOptions): Promise<api.CombinedSearchAnswer> {
    return this.read('postSearch', { body: JSON.stringify(asked) }, options);
  }

  suggest(
    prefix: string,
    query: Omit<requests.SuggestQuery, 'prefix'> = {},
    options?: ReadOptions,
  ): Promise<api.SuggestAnswer> {
    return this.read('suggest', { query: { ...query, prefix } }, options);
  }

  /** Page after page until the last. */
  feedPages(asked: requests.PostFeedBody = {}, options?: ReadOptions): AsyncGenerator<api.FeedAnswer> {
    return pagesOf(asked, (page) => this.feed(page, options));
  }

  searchPages(asked: requests.PostSearchBody, options?: ReadOptions): AsyncGenerator<api.CombinedSearchAnswer> {
    return pagesOf(asked, (page) => this.search(page, options));
  }

  /** The items of all pages. */
  feedItems(asked: requests.PostFeedBody = {}, options?: ReadOptions): AsyncGenerator<api.RankedItem> {
    return itemsOf(this.feedPages(asked, options));
  }

  searchItems(asked: requests.PostSearchBody, options?: ReadOptions): AsyncGenerator<api.RankedItem> {
    return itemsOf(this.searchPages(asked, options));
  }

  status(options?: CallOptions): Promise<cluster.StatusAnswer> {
    return this.call('getStatus', { ...options });
  }

  /** Status, health, rates and lags, now and over the last 15 minutes, as the router that answers knows them. */
  live(options?: CallOptions): Promise<cluster.ClusterLive> {
    return this.call('getLiveState', { ...options });
  }

  /** Not sent again when it may have been carried out. */
  promote(asked: requests.PromoteBody, options?: CallOptions): Promise<cluster.PromoteAnswer> {
    return this.act('promote', asked, options);
  }

  partition(asked: requests.PartitionBody, options?: CallOptions): Promise<cluster.PartitionAnswer> {
    return this.act('partition', asked, options);
  }

  heal(asked: requests.HealBody, options?: CallOptions): Promise<cluster.HealAnswer> {
    return this.act('heal', asked, options);
  }

  /** Takes or extends the lease of drills: one at a time in a cluster. */
  holdDrill(asked: requests.HoldDrillBody, options?: CallOptions): Promise<cluster.DrillInProgress> {
    return this.act('holdDrill', asked, options);
  }

  endDrill(asked: requests.EndDrillBody, options?: CallOptions): Promise<cluster.EndDrillAnswer> {
    return this.act('endDrill', asked, options);
  }

  /** Heals every region, and ends the lease of any drill. */
  stopDrill(options?: CallOptions): Promise<cluster.StopDrillAnswer> {
    return this.act('stopDrill', {}, options);
  }

  retireDisk(asked: requests.RetireDiskBody, options?: CallOptions): Promise<cluster.RetireDiskAnswer> {
    return this.act('retireDisk', asked, options);
  }

  /** Where a write is; one of the fields. Of a request id only the router knows that accepted the write. */
  trace(asked: requests.TraceBody, options?: CallOptions): Promise<cluster.TraceAnswer> {
    return this.act('trace', asked, options);
  }

  verify(options?: CallOptions): Promise<cluster.VerifyAnswer> {
    return this.act('verify', {}, options);
  }

  quarantine(options?: CallOptions): Promise<cluster.QuarantineList> {
    return this.call('getQuarantine', { ...options });
  }

  addQuarantine(asked: requests.AddQuarantineBody, options?: CallOptions): Promise<cluster.QuarantineAnswer> {
    return this.act('addQuarantine', asked, options);
  }

  /** The journal, the newest entry first. */
  events(query: requests.GetEventsQuery = {}, options?: CallOptions): Promise<cluster.JournalAnswer> {
    return this.call('getEvents', { ...options, query });
  }

  /** Also while the cluster is unavailable: that is an answer. */
  health(options?: CallOptions): Promise<cluster.HealthAnswer> {
    return this.call('getHealth', { ...options });
  }

  /** Of the router that answers. */
  ready(options?: CallOptions): Promise<cluster.ReadyAnswer> {
    return this.call('getReady', { ...options });
  }

  /** Prometheus text of the router that answers. */
  async metrics(options?: CallOptions): Promise<string> {
    return (await this.answerOf('getMetrics', { ...options })).value as string;
  }

  private act<T>(operation: OperationId, asked: object, options: CallOptions = {}): Promise<T> {
    return this.call<T>(operation, { ...options, body: JSON.stringify(asked), isLong: true });
  }

  private async write(
    operation: OperationId,
    made: Made,
    { idempotencyKey = this.newKey(), durability, ...options }: WriteOptions = {},
  ): Promise<api.WriteAnswer> {
    const answer = await this.call<api.WriteAnswer>(operation, {
      ...{ ...made, ...options, repeatable: made.repeatable ?? idempotencyKey !== false, member: 'position' },
      headers: {
        ...(idempotencyKey === false ? {} : { 'idempotency-key': idempotencyKey }),
        ...(durability === undefined ? {} : { prefer: `durability=${durability}` }),
      },
    });
    this.written.add(answer.position);
    return answer;
  }

  private read<T>(operation: OperationId, made: Made, { minPosition, ...options }: ReadOptions = {}): Promise<T> {
    const own = this.options.readYourWrites === false ? undefined : this.position;
    const position = minPosition === undefined ? own : minPosition;
    const headers = position === undefined || position === null ? {} : { 'x-tidal-position': position };
    return this.call<T>(operation, { ...made, ...options, headers });
  }

  private async call<T>(operation: OperationId, made: Made): Promise<T> {
    return (await this.answerOf(operation, made)).value as T;
  }

  private async answerOf(operation: OperationId, made: Made): Promise<Answer> {
    const { method, path, accept, repeatable } = operations[operation];
    const { key, deadlineMs, attemptMs } = this.options;
    const { id, query = {}, type = 'application/json', body, signal, requestId, isLong } = made;
    const headers: Readonly<Record<string, string>> = {
      accept,
      ...(body === undefined ? {} : { 'content-type': type }),
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
      ...(requestId === undefined ? {} : { 'x-request-id': requestId }),
      ...made.headers,
    };
    for (const [name, value] of Object.entries(headers))
      if (!isHeaderValue(value))
        throw new TypeError(`TidalClient: ${name} must have ASCII characters only, no line breaks`);
    return this.sending.send({
      ...{ method, headers, body },
      path: path.replace('{id}', encodeURIComponent(String(id))) + queryOf(query),
      repeatable: made.repeatable ?? repeatable === 'always',
      deadlineMs: made.deadlineMs ?? deadlineMs ?? (isLong ? LONG_MS : DEADLINE_MS),
      attemptMs: attemptMs ?? (isLong ? LONG_MS : ATTEMPT_MS),
      signal,
      isHealth: operation === 'getHealth' || operation === 'getReady',
      member: made.member,
    });
  }

  private newKey(): string {
    return Buffer.from(this.random.bytes(KEY_BYTES)).toString('base64url');
  }
}

/** With its `?`, unless there is none. */
function queryOf(query: object): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined);
  // Each list has its own form in the document; `getItems` writes the only one there is here.
  for (const [name, value] of given)
    if (typeof value === 'object')
      throw new TypeError(`TidalClient: ${name} must be one value, not a list or an object`);
  const parameters = new URLSearchParams(given.map(([name, value]): [string, string] => [name, String(value)]));
  return given.length === 0 ? '' : `?${parameters}`;
}

function lines(values: readonly object[]): Pick<Made, 'type' | 'body'> {
  return { type: 'application/x-ndjson', body: values.map((value) => `${JSON.stringify(value)}\n`).join('') };
}

async function* pagesOf<A extends { readonly cursor?: string }, P extends Cursored>(
  asked: A,
  ask: (asked: A) => Promise<P>,
): AsyncGenerator<P> {
  for (let { cursor } = asked; ; ) {
    const page = await ask(cursor === undefined ? asked : { ...asked, cursor });
    const { next_cursor: next } = page;
    if (next !== null && (typeof next !== 'string' || next === cursor))
      throw new Error('TidalClient: a page does not say which one follows');
    yield page;
    if (next === null) return;
    cursor = next;
  }
}

async function* itemsOf(
  pages: AsyncIterable<{ readonly items: readonly api.RankedItem[] }>,
): AsyncGenerator<api.RankedItem> {
  for await (const { items } of pages) yield* items;
}
