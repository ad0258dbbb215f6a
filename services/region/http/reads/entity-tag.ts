/**
 * Entity tags (RFC 9110, section 8.8.3): a client that has an answer asks with `If-None-Match`, and the router answers 304 if it would
 * be the same. They are weak: read time, position and lag are left out, and what changes from one millisecond to the next (decayed
 * sums, scores) counts as the same within a minute. Equal contents have equal tags in every region.
 */
import { hash } from 'node:crypto';
import type Koa from 'koa';
import type { Context } from 'koa';
import type { Catalog } from '../../state/catalog/catalog.ts';
import type { ReadContext } from './reading.ts';

const MINUTE_MS = 60_000;
/** Beyond this many bytes of metadata a tag would cost more than it saves. */
const TAGGED_BYTES = 256 * 1024;
/** Of an embedding, as JSON. */
const VALUE_BYTES = 20;

type Signals = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

interface Shown {
  readonly entity_id: number;
  readonly signals?: Signals;
  readonly embedding?: readonly number[] | null;
  readonly score?: number;
  readonly explain?: unknown;
}

interface List {
  readonly items: readonly Shown[];
  readonly next_cursor?: string | null;
}

type Answer = ReadContext & (List | Shown);

/** Tags the answers of reads that are a GET. */
export function tagsAnswers({ metadataBytes }: Pick<Catalog, 'metadataBytes'>): Koa.Middleware {
  return async (ctx, next) => {
    await next();
    if (ctx.method !== 'GET' || ctx.status !== 200) return;
    const answer = ctx.body as Answer;
    if ('items' in answer) tagList(ctx, answer, metadataBytes);
    else tagItem(ctx, answer);
  };
}

function tagItem(ctx: Context, answer: ReadContext & Shown): void {
  const { region: _region, position: _position, lag_events: _lag, at, ...item } = answer;
  const isSteady = Object.keys(item.signals ?? {}).length === 0;
  tag(ctx, [steady(item), isSteady ? null : minuteOf(at)]);
}

function tagList(ctx: Context, answer: ReadContext & List, bytesOf: (entity: number) => number): void {
  const { region: _region, position: _position, lag_events: _lag, at, items, next_cursor = null, ...others } = answer;
  let bytes = 0;
  for (const { entity_id, embedding } of items) bytes += bytesOf(entity_id) + VALUE_BYTES * (embedding?.length ?? 0);
  if (bytes <= TAGGED_BYTES) tag(ctx, [items.map(steady), next_cursor === null, others, minuteOf(at)]);
}

function tag(ctx: Context, contents: unknown): void {
  ctx.etag = `W/"${hash('sha256', JSON.stringify(contents), 'buffer').subarray(0, 16).toString('base64url')}"`;
  ctx.set('cache-control', 'private, no-cache');
}

function steady({ score: _score, explain: _explain, signals = {}, ...item }: Shown): unknown {
  return [item, Object.entries(signals).map(([name, { decayed: _decayed, ...sums }]) => [name, sums])];
}

function minuteOf(at: string): number {
  return Math.floor(Date.parse(at) / MINUTE_MS);
}
