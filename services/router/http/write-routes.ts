/**
 * The write routes: one object, an array or NDJSON in; all or nothing; a refusal names the offending line. `DELETE /signals` takes
 * back what the same request to `POST /signals` gave.
 */
import type { Router } from '@koa/router';
import type { Context } from 'koa';
import { Refusal } from '../../../shared/errors/errors.ts';
import type { BodyBudget } from '../../../shared/http/body-budget.ts';
import { decodeText, readBody, requireType } from '../../../shared/http/http-body.ts';
import { requestIdOf } from '../../../shared/http/http-server.ts';
import { parseJson } from '../../../shared/http/json-text.ts';
import { keyNameOf } from '../../../shared/http/request-log.ts';
import type { Turns } from '../../../shared/kernel/turns.ts';
import { entityIdOfPath } from '../../../shared/protocol/entity-id.ts';
import { parseIdempotencyKey, WIRE_KEY_BYTES, withKeys } from '../../../shared/protocol/idempotency.ts';
import { BULK_LIMIT, type Durability, type WriteAccepted } from '../../../shared/protocol/internal.ts';
import { type PackedSignals, SignalPacker } from '../../../shared/protocol/packed-signals.ts';
import {
  parsePatch,
  parseSignal,
  parseWrite,
  toWire,
  type WireWrite,
  type WriteRoute,
} from '../../../shared/protocol/writes.ts';
import type { Submission, WriteForwarding } from '../forward/forward.ts';
import type { Trace } from '../trace/trace.ts';
import { networkOf } from './client-network/client-network.ts';
import { readSignalLines } from './signal-lines.ts';

/** Bytes of names and braces around one write. */
const FRAME_BYTES = 48;

export interface WriteRoutesOptions {
  /** Absent: turns are not watched. */
  readonly turns?: Turns | undefined;
  readonly forwarding: WriteForwarding;
  /** Learns of what was accepted. */
  readonly trace: Pick<Trace, 'accepted'>;
  readonly maxBodyBytes: number;
  readonly budget: BodyBudget;
}

type Route = 'items' | 'embeddings' | 'signals';

interface ParsedBody {
  readonly writes: readonly WireWrite[];
  readonly bulk: boolean;
  readonly label: (index: number) => string;
  /** Instead of `writes`. */
  readonly signals?: PackedSignals;
}

export function addWriteRoutes(router: Router, options: WriteRoutesOptions): void {
  const { forwarding, trace, maxBodyBytes, budget, turns } = options;
  const submit = async (submission: Submission): Promise<WriteAccepted> => {
    const accepted = await forwarding.submit(submission);
    trace.accepted(submission.requestId, accepted.position);
    return accepted;
  };
  const submitBody = (route: Route, isDelete: boolean): ((ctx: Context) => Promise<void>) => {
    return async (ctx) => {
      const key = keyOf(ctx);
      const durability = durabilityOf(ctx);
      const type = requireType(ctx, ['application/json', 'application/x-ndjson']);
      const share = budget.share(ctx.req.socket.remoteAddress);
      try {
        const body = await readBody(ctx, maxBodyBytes, share.take);
        turns?.mark('write');
        const request = { ...keyedBy(ctx, key), durability, requestId: requestIdOf(ctx) };
        const lines = route === 'signals' && !isDelete && type === 'application/x-ndjson' && key === undefined;
        const parsed = (lines ? plainLines(body) : undefined) ?? parseBody(route, isDelete, type, decodeText(body));
        requireRetractable(parsed.writes, key);
        const signals = parsed.signals ?? (key === undefined ? packed(parsed) : undefined);
        if (signals !== undefined) {
          const { label } = parsed;
          const bytes = signals.packed.length + FRAME_BYTES;
          const accepted = await submit({ ...request, writes: [], signals, bytes, atomic: true, label });
          ctx.body = answer(accepted, signals.count, undefined);
          return;
        }
        const accepted = await submit({
          ...request,
          writes: key === undefined ? parsed.writes : withKeys(key, route, parsed.writes, parsed.bulk),
          bytes: parsed.writes.reduce((sum, write) => sum + extraBytes(write, key), body.length),
          atomic: parsed.bulk,
          ...(parsed.bulk ? { label: parsed.label } : {}),
        });
        ctx.body = answer(accepted, parsed.writes.length, parsed.bulk ? undefined : parsed.writes[0]?.e);
      } finally {
        share.giveBack();
      }
    };
  };
  for (const route of ['items', 'embeddings', 'signals'] as const) router.post(`/${route}`, submitBody(route, false));
  router.delete('/signals', submitBody('signals', true));
  /** A write of one item that is named by the path; `bytes`: of its body. */
  const submitOne = async (ctx: Context, keyRoute: WriteRoute, write: WireWrite, bytes: number): Promise<void> => {
    const key = keyOf(ctx);
    const accepted = await submit({
      writes: key === undefined ? [write] : withKeys(key, keyRoute, [write], false),
      bytes: extraBytes(write, key) + bytes,
      ...keyedBy(ctx, key),
      atomic: false,
      durability: durabilityOf(ctx),
      requestId: requestIdOf(ctx),
    });
    ctx.body = answer(accepted, 1, write.e);
  };
  router.patch('/items/:id', async (ctx) => {
    const entity = entityIdOfPath(ctx.params.id);
    requireType(ctx, ['application/json', 'application/merge-patch+json']);
    const share = budget.share(ctx.req.socket.remoteAddress);
    try {
      const body = await readBody(ctx, maxBodyBytes, share.take);
      const changes = parsePatch(parseJson(decodeText(body)));
      await submitOne(ctx, 'patch', { k: 'p', e: entity, m: changes }, body.length);
    } finally {
      share.giveBack();
    }
  });
  router.delete('/items/:id', (ctx) => submitOne(ctx, 'delete', { k: 'd', e: entityIdOfPath(ctx.params.id) }, 0));
}

function answer({ position, durability, replayed }: WriteAccepted, accepted: number, entity: number | undefined) {
  return {
    accepted,
    position,
    durability,
    ...(entity === undefined ? {} : { entity_id: entity }),
    ...(replayed === undefined ? {} : { replayed }),
  };
}

function plainLines(body: Uint8Array): ParsedBody | undefined {
  const signals = readSignalLines(body, BULK_LIMIT);
  if (signals === undefined) return undefined;
  // None of them is blank.
  return { writes: [], signals, bulk: true, label: (index) => `line ${index + 1}` };
}

/** Undefined if it is not a bulk of signals. */
function packed({ writes, bulk }: ParsedBody): PackedSignals | undefined {
  if (!bulk) return undefined;
  const packer = new SignalPacker();
  for (const write of writes) {
    if (write.k !== 's') return undefined;
    packer.add(write.e, packer.kind(write.s), write.w, write.t);
  }
  return packer.pack();
}

/** Throws a `Refusal` unless retractions name what they take back. */
function requireRetractable(writes: readonly WireWrite[], key: string | undefined): void {
  const retractions = writes.filter(({ k }) => k === 'r').length;
  if (retractions > 0 && key === undefined) {
    throw new Refusal('invalid_request', 'a retraction names the signal that it takes back', {
      hint: 'send it with the Idempotency-Key and the body that the signal was given with, or with its position alone: {"position": "…"}',
    });
  }
  if (retractions > 0 && retractions < writes.length) {
    throw new Refusal('invalid_request', `${retractions} of ${writes.length} writes have "retract": true`, {
      hint: 'a bulk is taken back as it was given, whole: every write of it has "retract": true, or none',
    });
  }
  if (key !== undefined && writes.some(({ k }) => k === 'b')) {
    throw new Refusal('invalid_request', 'a retraction has an Idempotency-Key or a position, not both', {
      hint: 'leave out the header: by position the signal is taken back once, however often it is sent',
    });
  }
}

function parseBody(route: Route, isDelete: boolean, type: string, text: string): ParsedBody {
  if (type === 'application/x-ndjson') {
    const lines = linesOf(text);
    checkCount(lines.length, 'lines');
    const label = (index: number): string => `line ${lines[index]!.number}`;
    const writes = lines.map(({ line }, index) =>
      parseOne(route, isDelete, parseJson(line, label(index)), label(index)),
    );
    return { writes, bulk: true, label };
  }
  const value = parseJson(text);
  const label = (index: number): string => `[${index}]`;
  if (!Array.isArray(value)) return { writes: [parseOne(route, isDelete, value, '')], bulk: false, label };
  checkCount(value.length, 'elements');
  return { writes: value.map((one, index) => parseOne(route, isDelete, one, label(index))), bulk: true, label };
}

interface Line {
  readonly line: string;
  /** From 1, blank lines counted. */
  readonly number: number;
}

/** The lines that are not blank; at most one more than a bulk may have. */
function linesOf(text: string): Line[] {
  const lines: Line[] = [];
  let number = 1;
  for (let at = 0; at < text.length && lines.length <= BULK_LIMIT; number++) {
    const found = text.indexOf('\n', at);
    const end = found < 0 ? text.length : found;
    if (!isBlank(text, at, end)) lines.push({ line: text.slice(at, end), number });
    at = end + 1;
  }
  return lines;
}

function isBlank(text: string, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (!' \t\r'.includes(text[at]!)) return false;
  return true;
}

function parseOne(route: Route, isDelete: boolean, value: unknown, at: string): WireWrite {
  return toWire(route === 'signals' ? parseSignal(value, isDelete, at) : parseWrite(route, value, at));
}

function checkCount(count: number, what: string): void {
  if (count === 0) throw new Refusal('invalid_request', `the body has no ${what}; send at least one write`);
  if (count > BULK_LIMIT) {
    throw new Refusal(
      'invalid_request',
      `the body has more than ${BULK_LIMIT} ${what}; the limit of a bulk is ${BULK_LIMIT} writes`,
      {
        hint: 'send it in smaller parts',
      },
    );
  }
}

/** The size of a forwarded write beyond its received bytes. */
function extraBytes(write: WireWrite, key: string | undefined): number {
  const frame = key === undefined ? FRAME_BYTES : FRAME_BYTES + WIRE_KEY_BYTES;
  return write.k === 'v' ? frame + write.b.length : frame;
}

function keyOf(ctx: Context): string | undefined {
  return parseIdempotencyKey(ctx.req.headers['idempotency-key']);
}

/** Whose idempotency key it is: the API key's, or without keys that of the client's address or IPv6 network. */
function keyedBy(ctx: Context, key: string | undefined): Pick<Submission, 'keyed' | 'client'> {
  if (key === undefined) return { keyed: false };
  const name = keyNameOf(ctx);
  return {
    keyed: true,
    client: name === undefined ? `the address ${networkOf(ctx.req.socket.remoteAddress ?? '')}` : `the key ${name}`,
  };
}

/** `Prefer: durability=stream`. Other preferences are ignored, as RFC 7240 has it; other durabilities are refused. */
function durabilityOf(ctx: Context): Durability {
  for (const preference of ctx.get('prefer').split(',')) {
    const [name = '', value = ''] = preference.split(';')[0]?.split('=') ?? [];
    if (name.trim().toLowerCase() !== 'durability') continue;
    if (value.trim().replaceAll('"', '') === 'stream') return 'stream';
    throw new Refusal('invalid_request', 'Prefer: durability accepts the value stream', {
      hint: 'without it a write is acknowledged as soon as it is durable in the leader region',
    });
  }
  return 'local';
}
