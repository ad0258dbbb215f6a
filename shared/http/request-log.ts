/** The log line of an answered request: refusals, failures and slow requests; with a key, every request at `debug`. */
import type { Context } from 'koa';
import { Refusal } from '../errors/errors.ts';
import type { Log } from '../observe/log.ts';

/** A request that takes longer is logged as slow. */
const SLOW_MS = 1_000;

export interface Outcome {
  readonly requestId: string;
  readonly route: string;
  readonly durationMs: number;
  /** What was thrown; undefined if the request succeeded. */
  readonly failure: unknown;
  /** Health and metrics: their time says nothing. */
  readonly exempt: boolean;
}

/** From now on log lines of this request name the key it was made with. */
export function nameKey(ctx: Context, name: string): void {
  ctx.state.keyName = name;
}

/** Undefined if the request has no valid key. */
export function keyNameOf(ctx: Context): string | undefined {
  return ctx.state.keyName as string | undefined;
}

export function logRequest(log: Log, ctx: Context, outcome: Outcome): void {
  const { requestId, route, durationMs, failure, exempt } = outcome;
  const key = keyNameOf(ctx);
  const unexpected = failure !== undefined && !(failure instanceof Refusal);
  const slow = durationMs > SLOW_MS && ctx.state.waits !== true && !exempt;
  if (failure === undefined && !slow && key === undefined) return;
  const fields = {
    request_id: requestId,
    ...(key === undefined ? {} : { key }),
    method: ctx.method,
    route,
    status: ctx.status,
    duration_ms: Math.round(durationMs * 100) / 100,
    ...(failure instanceof Refusal ? { code: failure.code, detail: failure.message } : {}),
  };
  if (unexpected) log.error('request failed', { ...fields, error: failure });
  else if (ctx.status >= 500) log.warn('request refused', fields);
  else if (slow) log.warn('slow request', fields);
  else if (failure === undefined) log.debug('request answered', fields);
  else log.debug('request refused', fields);
}
