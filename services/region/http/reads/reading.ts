/** The common part of all reads: the checks before an answer, and the fields in addition to the result. */
import type { Context } from 'koa';
import { Refusal } from '../../../../shared/errors/errors.ts';
import type { Activity, Turns } from '../../../../shared/kernel/turns.ts';
import { MIN_POSITION_WAIT_MS } from '../../../../shared/protocol/deadlines.ts';
import { covers, formatPosition, parsePosition, sequenceOf } from '../../../../shared/protocol/position.ts';
import type { Apply } from '../../apply/apply.ts';
import { type IndexQueue, IndexRead } from '../../index-queue/index-queue.ts';
import type { PageStart } from '../../query/query.ts';
import type { Rank, ReadTime } from '../../rank/rank.ts';
import { type ReadQueue, Unfinished } from '../../read-queue/read-queue.ts';
import type { TextReading, TextSlices } from '../../search/search.ts';
import type { Catalog } from '../../state/catalog/catalog.ts';

/** How many reads may wait for a position: each counts as a request in progress. */
const POSITION_WAITS_LIMIT = 500;

/** Fields that every read returns in addition to its result. */
export interface ReadContext {
  readonly region: string;
  readonly position: string;
  readonly lag_events: number | null;
  /** RFC 3339. */
  readonly at: string;
}

export interface ReadingParts {
  /** Absent: turns are not watched. */
  readonly turns?: Turns | undefined;
  readonly region: string;
  readonly apply: Pick<Apply, 'applied' | 'waiting' | 'reached'>;
  readonly catalog: Pick<Catalog, 'size'>;
  readonly rank: Pick<Rank, 'past'>;
  /** Events of the leader that this region lacks, as last reported; undefined before the leader's first report. */
  readonly lagEvents: () => number | undefined;
  readonly ready: () => boolean;
  /** How far filters and search know the items: for a while after a start with many, not all. */
  readonly indexing: { readonly complete: boolean; readonly indexed: number; readonly failed: string | undefined };
  readonly indexQueue: IndexQueue;
  readonly reads: ReadQueue;
  /** The time reads are answered for, epoch ms. */
  readonly nowMs: () => number;
}

export interface Reading {
  /** Says what the present turn of the event loop is spent on. */
  mark(activity: Activity): void;
  /** Answers for the requested read time, `nowMs` if there is none, which `answer` must return, and which may be called twice. */
  at<T>(page: Pick<PageStart, 'atMs' | 'continued'>, answer: (readTime: ReadTime) => T, nowMs?: number): T;
  /** Must be called in the same turn of the event loop as the read itself, or with its position. */
  context(atMs: number, position?: string): ReadContext;
  /**
   * Waits until this region may answer: it is ready, and has applied what the client has seen: `min_position` of the query, the
   * argument (from a body), or the header.
   */
  admit(ctx: Context, minPosition?: string): Promise<void>;
  /** Throws if the client or the router has closed the connection, so that no further work is done for it. */
  requireClient(ctx: Context): void;
  /** Refuses reads of filter index or text index while a start is still indexing items. */
  requireIndexes(): void;
  /** The same, and throws `Unfinished`, in a read of the read queue, while items that were applied are not indexed yet. */
  requireCurrentIndexes(): void;
  /** A read of these indexes for this client, in the read queue. */
  ofIndexes(ctx: Context, activity: Activity): TextReading;
}

export function createReading(parts: ReadingParts): Reading {
  const { apply } = parts;

  const context = (atMs: number, position = formatPosition(apply.applied)): ReadContext => ({
    region: parts.region,
    position,
    lag_events: parts.lagEvents() ?? null,
    at: new Date(atMs).toISOString(),
  });

  const requireReady = (): void => {
    if (parts.ready()) return;
    throw new Refusal('not_ready', `${parts.region} is still catching up with its peers`, {
      hint: 'read from another region',
    });
  };

  const requireClient = (ctx: Context): void => {
    if (ctx.req.socket.destroyed) throw new Refusal('invalid_request', 'the client has closed the connection');
  };

  /** Read your own writes: waits until this region has applied what the client has seen. */
  const reachPosition = async (ctx: Context, given?: string): Promise<void> => {
    const parameters = new URLSearchParams(ctx.querystring).getAll('min_position');
    const token = given ?? parameters.at(-1) ?? ctx.get('x-tidal-position');
    if (token === '') return;
    const wanted = parsePosition(token);
    if (parameters.length > 1 || wanted === undefined) {
      throw new Refusal('invalid_request', 'min_position must be one position token, as returned by writes and reads', {
        errors: [{ path: 'min_position', message: 'origin:sequence[,origin:sequence…]' }],
      });
    }
    if (apply.waiting >= POSITION_WAITS_LIMIT && !covers(apply.applied, wanted)) {
      throw new Refusal(
        'overloaded',
        `${apply.waiting} reads are already waiting for their position at ${parts.region}`,
        {
          hint: 'ask again, ask the leader, or leave out min_position',
        },
      );
    }
    if (await apply.reached(wanted, MIN_POSITION_WAIT_MS)) return;
    const lacking = [...wanted].find(([origin, sequence]) => sequenceOf(apply.applied, origin) < sequence);
    const [origin, sequence] = lacking ?? ['', 0];
    throw new Refusal(
      'position_not_reached',
      `${parts.region} has ${origin} up to ${sequenceOf(apply.applied, origin)}, not ${sequence}, after ${MIN_POSITION_WAIT_MS} ms`,
      {
        hint: 'ask again, ask the leader, or leave out min_position',
      },
    );
  };

  const requireIndexes = (): void => {
    const { region, indexing, catalog } = parts;
    if (indexing.failed !== undefined) {
      throw new Refusal('not_ready', `${region}: ${indexing.failed}`, {
        hint: 'ask another region; feeds without a filter are answered; docs/runbook.md, section 6, says what to do',
      });
    }
    if (indexing.complete) return;
    throw new Refusal(
      'not_ready',
      `${region} has indexed ${indexing.indexed} of ${catalog.size} items since its start`,
      {
        hint: 'ask again in some seconds, or another region; feeds without a filter are answered meanwhile',
      },
    );
  };

  const requireCurrentIndexes = (): void => {
    requireIndexes();
    parts.indexQueue.require();
  };

  return {
    mark: (activity) => parts.turns?.mark(activity),
    at({ atMs, continued }, answer, nowMs = parts.nowMs()) {
      if (atMs === undefined) return answer({ atMs: nowMs, past: false });
      return continued ? answer({ atMs, past: true }) : parts.rank.past(atMs, answer);
    },
    context,
    async admit(ctx, minPosition) {
      requireReady();
      await reachPosition(ctx, minPosition);
      requireClient(ctx);
    },
    requireClient,
    requireIndexes,
    requireCurrentIndexes,
    ofIndexes(ctx, activity) {
      const { indexQueue: queue, reads } = parts;
      const position = (): string => formatPosition(apply.applied);
      const attemptOf = <T>(read: IndexRead, attempt: (slices: TextSlices) => T): T => {
        requireIndexes();
        read.begin();
        return attempt(read);
      };
      return {
        async run(attempt) {
          const read = new IndexRead({ queue, over: reads.over, position });
          try {
            const isWanted = (): boolean => !ctx.req.socket.destroyed;
            return await reads.run(() => attemptOf(read, attempt), { activity, isWanted });
          } finally {
            read.end();
          }
        },
        now(attempt) {
          const read = new IndexRead({ queue, over: reads.over, position });
          try {
            return { value: attemptOf(read, attempt) };
          } catch (error) {
            if (error instanceof Unfinished) return undefined;
            throw error;
          } finally {
            read.end();
          }
        },
        position,
      };
    },
  };
}
