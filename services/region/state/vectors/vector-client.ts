/**
 * The region's side of the vector index: it tracks changes and searches, and does not know how vectors are stored.
 *
 * It sends batches of changes, each entity once with its present value in the catalog, at most `BATCHES` unconfirmed; further
 * changes wait as a set of entities, each once. A search is sent once everything that changed before it was sent. When its result
 * arrives, every entity that changed since is checked again here: removed and replaced vectors are dropped, and new ones are
 * compared with those found. So the answer is correct when it is returned.
 *
 * When the index dies its searches are refused, and another one is opened and filled from the catalog, after a pause that doubles
 * while it dies repeatedly. Searches that were not sent yet wait for it.
 */
import { messageOf, Refusal } from '../../../../shared/errors/errors.ts';
import { assert, type Clock, type Timer, within } from '../../../../shared/kernel/kernel.ts';
import type { Log } from '../../../../shared/observe/log.ts';
import type { Metrics } from '../../../../shared/observe/metrics.ts';
import { compareScored, type Scored } from '../../scored/scored.ts';
import type { CatalogWriter } from '../catalog/catalog.ts';
import type { Entities } from '../entities/entities.ts';
import type { Selection } from '../filter-index/filter-index.ts';
import { similarity, unit } from './cosine.ts';
import { createVectorMeters, type VectorMeters } from './vector-metrics.ts';
import type { Among, FromVectors, OpenVectorWorker, VectorCounts, VectorWorker } from './vector-worker.ts';
import { NEAREST_LIMIT, type VectorHit, type VectorQuestion, type VectorStats, type Vectors } from './vectors.ts';

/** Changes a batch, and unconfirmed batches. */
const BATCH = 512;
const BATCHES = 4;
const WAITING_LIMIT = 256;
const ANSWER_MS = 5_000;
/** Number of results requested beyond the limit, to replace those that change meanwhile. */
const SLACK = 16;
/** How often a search is repeated because too much of its result has changed; then it is answered with what is left. */
const ASKED_MOST = 3;
/** An index that ran for less is opened again after a pause. */
const SHORT_LIFE_MS = 60_000;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 60_000;
/**
 * After this many short runs the index counts as failed, because a vector crashes it. It is still reopened, at growing intervals.
 */
const SHORT_LIVES = 3;
/** The graph is written when a tenth of it, and at least this many vectors, changed, and at most this often. */
const SAVE_SHARE = 0.1;
const SAVE_LEAST = 1_000;
const SAVE_EVERY_MS = 60_000;
/** Limit of the wait for the last write at a stop; a graph that is not written is rebuilt. */
const LAST_SAVE_MS = 5_000;

const NOTHING: VectorCounts = { live: 0, graphed: 0, deleted: 0, unsaved: 0 };

export interface VectorClientOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly dimensions: number;
  readonly entities: Entities;
  readonly catalog: Pick<CatalogWriter, 'embedding' | 'embedded'>;
  readonly open: OpenVectorWorker;
}

export function createVectors(options: VectorClientOptions): Vectors {
  return new VectorClient(options);
}

interface PendingQuestion {
  readonly id: number;
  readonly question: VectorQuestion;
  /** The index has at least everything up to this version when it gets the search. */
  since: number;
  readonly askedMs: number;
  readonly settle: (hits: readonly VectorHit[]) => void;
  readonly refuse: (error: unknown) => void;
  readonly timer: Timer;
  asked: number;
  /** True once the search was sent. */
  isAsked: boolean;
}

class VectorClient implements Vectors {
  private readonly options: VectorClientOptions;
  private readonly meters: VectorMeters;
  private worker: VectorWorker | undefined;
  private counts = NOTHING;
  private savedMs = 0;
  private scanOnly: string | undefined;
  private failed: string | undefined;
  private shortLives = 0;
  private stopping = false;
  /** Number of changes. */
  private version = 0;
  /** Entities with changes that were not sent, by ordinal, with the version of their last change; oldest first. */
  private readonly unsent = new Map<number, number>();
  /** The remaining embeddings, while an index is being filled. */
  private filling: Iterator<readonly [entity: number, values: Float32Array]> | undefined;
  private onTheirWay = 0;
  private sending = false;
  private readonly waiting = new Map<number, PendingQuestion>();
  private ids = 0;
  /** Changes since the oldest search, oldest first. */
  private changes: { readonly version: number; readonly ordinal: number }[] = [];
  private openedMs = 0;
  private pauseMs = 0;
  private reopening: Timer | undefined;
  private saveTimer: Timer | undefined;
  private onSaved: (() => void) | undefined;

  constructor(options: VectorClientOptions) {
    this.options = options;
    const { clock } = options;
    this.meters = createVectorMeters(options.metrics, { clock, stats: () => this.stats });
  }

  get stats(): VectorStats {
    const { live, graphed, deleted } = this.counts;
    return { live, graphed, deleted, waiting: this.waiting.size, savedMs: this.savedMs, ...this.doubts };
  }

  private get doubts(): Pick<VectorStats, 'scanOnly' | 'failed'> {
    // An index that has run long enough has accepted the vector on which the former ones crashed.
    const lives = this.worker !== undefined && this.options.clock.monotonicMs() - this.openedMs >= SHORT_LIFE_MS;
    return { scanOnly: this.scanOnly, failed: lives ? undefined : this.failed };
  }

  changed(entity: number): void {
    const ordinal = this.options.entities.ordinal(entity);
    this.note(ordinal);
    // Moved to the end: searches sent in between are compared with it when their result arrives.
    this.unsent.delete(ordinal);
    this.unsent.set(ordinal, this.version);
    this.wake();
  }

  touched(entity: number): void {
    this.note(this.options.entities.ordinal(entity));
  }

  private note(ordinal: number): void {
    this.version++;
    if (this.waiting.size > 0) this.changes.push({ version: this.version, ordinal });
  }

  nearest<T>(question: VectorQuestion, answer: (hits: readonly VectorHit[]) => T): Promise<T> {
    const { clock, dimensions } = this.options;
    assert(question.values.length === dimensions, 'a query has the dimensions of the schema', () => question.values);
    assert(question.limit >= 1 && question.limit <= NEAREST_LIMIT, 'as many neighbours as may be asked for');
    return new Promise((resolve, reject) => {
      if (this.stopping) throw new Refusal('shutting_down', 'the region is shutting down');
      const { failed } = this.doubts;
      if (failed !== undefined)
        throw new Refusal('not_ready', failed, { hint: 'ask another region, or by text alone' });
      if (this.waiting.size >= WAITING_LIMIT) {
        throw new Refusal('overloaded', `${WAITING_LIMIT} vector searches are already waiting`);
      }
      const id = ++this.ids;
      const end = (settle: () => void): void => {
        waiting.timer.cancel();
        this.waiting.delete(id);
        if (this.waiting.size === 0) this.changes = [];
        settle();
      };
      const refuse = (error: unknown): void => end(() => reject(error));
      const waiting: PendingQuestion = {
        id,
        question,
        since: this.version,
        askedMs: clock.monotonicMs(),
        settle: (hits) => {
          try {
            const value = answer(hits);
            end(() => resolve(value));
          } catch (error) {
            refuse(error);
          }
        },
        refuse,
        timer: clock.after(ANSWER_MS, () =>
          refuse(new Refusal('overloaded', `the vector index did not answer within ${ANSWER_MS} ms`)),
        ),
        asked: 0,
        isAsked: false,
      };
      this.waiting.set(id, waiting);
      this.wake();
    });
  }

  start(): void {
    if (this.stopping || this.worker !== undefined) return;
    const { clock, dimensions, open } = this.options;
    this.openedMs = clock.monotonicMs();
    this.counts = NOTHING;
    this.onTheirWay = 0;
    // Changes during the iteration are unsent, whether they were reached or not.
    this.filling = this.options.catalog.embedded()[Symbol.iterator]();
    const worker = open({
      dimensions,
      onMessage: (message) => {
        if (worker === this.worker) this.take(message);
      },
      onExit: (error) => {
        if (worker === this.worker) this.gone(error);
      },
    });
    this.worker = worker;
    this.saveSoon();
    this.wake();
  }

  async stop(): Promise<void> {
    const { clock } = this.options;
    this.stopping = true;
    this.reopening?.cancel();
    this.saveTimer?.cancel();
    for (const { refuse } of [...this.waiting.values()]) {
      refuse(new Refusal('shutting_down', 'the region is shutting down'));
    }
    const { worker } = this;
    if (worker === undefined) return;
    if (this.counts.unsaved > 0) {
      const saved = new Promise<void>((resolve) => {
        this.onSaved = resolve;
      });
      worker.post({ kind: 'save', atMs: clock.nowMs() });
      await within(clock, LAST_SAVE_MS, saved, undefined);
    }
    this.worker = undefined;
    await worker.end();
  }

  private take(message: FromVectors): void {
    const { log, clock } = this.options;
    if (message.kind === 'taken') {
      this.onTheirWay--;
      this.wake();
    } else if (message.kind === 'counts') {
      this.counts = message.counts;
    } else if (message.kind === 'saved') {
      this.savedMs = message.atMs;
      this.onSaved?.();
    } else if (message.kind === 'scan_only') {
      if (this.scanOnly === undefined) {
        log.warn('vector search runs without a graph, comparing every vector (exact, slower)', {
          why: message.why,
        });
      }
      this.scanOnly = message.why;
    } else if (message.kind === 'log') {
      log[message.level](message.message, message.fields);
    } else {
      const waiting = this.waiting.get(message.id);
      if (waiting === undefined) return;
      const hits = this.reconcile(waiting, message);
      if (hits === undefined) {
        waiting.isAsked = false;
        waiting.since = this.version;
        this.wake();
        return;
      }
      this.meters.answered(clock.monotonicMs() - waiting.askedMs);
      waiting.settle(hits);
    }
  }

  /** The result as of now; undefined if too much of it has changed and the search has to be repeated. */
  private reconcile(
    { question, since, asked }: PendingQuestion,
    found: Extract<FromVectors, { kind: 'hits' }>,
  ): readonly VectorHit[] | undefined {
    const { entities, catalog } = this.options;
    const { limit, values } = question;
    const changed = new Set(this.changes.filter(({ version }) => version > since).map(({ ordinal }) => ordinal));
    let hits: Scored[] = Array.from(found.entities, (entity, index) => ({ entity, score: found.similarities[index]! }));
    if (changed.size > 0) {
      // Beyond the last one found there may be others, which are unknown here.
      const worst = found.whole ? undefined : hits.at(-1);
      hits = hits.filter(({ entity }) => !changed.has(entities.find(entity)));
      const selection = question.select?.();
      const query = unit(values);
      for (const ordinal of changed) {
        const entity = entities.entity(ordinal);
        const present = catalog.embedding(entity);
        if (present === undefined || selection?.has(ordinal) === false) continue;
        const hit = { entity, score: similarity(query, Float32Array.from(unit(present)), 0) };
        if (worst === undefined ? found.whole : compareScored(hit, worst) < 0) hits.push(hit);
      }
      hits.sort(compareScored);
    }
    if (hits.length < limit && !found.whole && asked < ASKED_MOST) return undefined;
    return hits.slice(0, limit).map(({ entity, score }) => ({ entity, similarity: score }));
  }

  private gone(error: unknown): void {
    const { clock, log } = this.options;
    this.worker = undefined;
    this.counts = NOTHING;
    this.saveTimer?.cancel();
    this.onSaved?.();
    // One of these searches may have crashed it: they are not repeated.
    for (const { isAsked, refuse } of [...this.waiting.values()]) {
      if (isAsked) refuse(new Refusal('overloaded', 'the vector index is reopening'));
    }
    if (this.stopping) return;
    const shortLived = clock.monotonicMs() - this.openedMs < SHORT_LIFE_MS;
    this.shortLives = shortLived ? this.shortLives + 1 : 0;
    this.failed =
      this.shortLives < SHORT_LIVES
        ? undefined
        : `search by vector is not available: the vector index has ended ${this.shortLives} times soon after it was opened: ${messageOf(error)}`;
    this.pauseMs = shortLived ? Math.min(LONGEST_PAUSE_MS, Math.max(FIRST_PAUSE_MS, this.pauseMs * 2)) : 0;
    log.error('vector index failed, reopening', { error: messageOf(error), pause_ms: this.pauseMs });
    this.reopening = clock.after(this.pauseMs, () => {
      this.meters.reopened();
      this.start();
    });
  }

  /** Sends at the end of the turn, so that changes that are applied together are sent together. */
  private wake(): void {
    if (this.sending || this.worker === undefined) return;
    this.sending = true;
    queueMicrotask(() => {
      this.sending = false;
      const { worker } = this;
      try {
        this.send();
      } catch (error) {
        // A message that cannot be sent to this index cannot be sent to the next one: it counts as a crash.
        void worker?.end();
        if (worker !== undefined && worker === this.worker) this.gone(error);
      }
    });
  }

  private send(): void {
    const { worker } = this;
    if (worker === undefined) return;
    while (this.onTheirWay < BATCHES && this.filling !== undefined) {
      this.post(worker, this.nextFilling(this.filling));
      if (this.filling === undefined) worker.post({ kind: 'filled' });
    }
    while (this.onTheirWay < BATCHES && this.unsent.size > 0) this.post(worker, this.nextUnsent());
    if (this.filling !== undefined) return;
    const [oldest] = this.unsent.values();
    for (const waiting of this.waiting.values()) {
      if (waiting.isAsked) continue;
      if (oldest !== undefined && oldest <= waiting.since) return;
      waiting.since = oldest === undefined ? this.version : oldest - 1;
      this.ask(worker, waiting);
    }
  }

  private nextFilling(embedded: Iterator<readonly [number, Float32Array]>): readonly number[] {
    const batch: number[] = [];
    while (batch.length < BATCH) {
      const { value, done } = embedded.next();
      if (done === true) {
        this.filling = undefined;
        break;
      }
      batch.push(this.options.entities.ordinal(value[0]));
    }
    return batch;
  }

  private nextUnsent(): readonly number[] {
    const batch: number[] = [];
    for (const ordinal of this.unsent.keys()) {
      if (batch.length >= BATCH) break;
      this.unsent.delete(ordinal);
      batch.push(ordinal);
    }
    return batch;
  }

  private post(worker: VectorWorker, batch: readonly number[]): void {
    const { entities, catalog, dimensions } = this.options;
    const vectors = batch.map((ordinal) => catalog.embedding(entities.entity(ordinal)));
    const values = new Float32Array(vectors.filter((vector) => vector !== undefined).length * dimensions);
    let at = 0;
    for (const vector of vectors) {
      if (vector === undefined) continue;
      values.set(vector, at);
      at += dimensions;
    }
    this.onTheirWay++;
    worker.post({
      kind: 'changes',
      ordinals: Uint32Array.from(batch),
      entities: Float64Array.from(batch, (ordinal) => entities.entity(ordinal)),
      present: Uint8Array.from(vectors, (vector) => (vector === undefined ? 0 : 1)),
      values,
    });
  }

  private ask(worker: VectorWorker, waiting: PendingQuestion): void {
    const { question, id } = waiting;
    waiting.asked++;
    waiting.isAsked = true;
    const selection = question.select?.();
    worker.post({
      kind: 'nearest',
      id,
      // A copy, because a view would transfer its whole buffer.
      values: question.values.slice(),
      limit: question.limit + SLACK * waiting.asked,
      ...(selection === undefined ? {} : { among: amongOf(selection) }),
    });
  }

  private saveSoon(): void {
    const { clock } = this.options;
    this.saveTimer = clock.after(SAVE_EVERY_MS, () => {
      const { live, unsaved } = this.counts;
      if (unsaved >= SAVE_LEAST && unsaved >= SAVE_SHARE * live) {
        this.worker?.post({ kind: 'save', atMs: clock.nowMs() });
      }
      this.saveSoon();
    });
  }
}

function amongOf(selection: Selection): Among {
  const { words, count } = selection;
  if (words !== undefined && count > words.length) return { words: words.slice(), count };
  const ordinals = new Uint32Array(count);
  let at = 0;
  selection.forEach((ordinal) => {
    ordinals[at++] = ordinal;
  });
  return { ordinals };
}
