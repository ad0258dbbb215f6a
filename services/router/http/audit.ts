/** The audit lines: one for every action of an operator, with the key that asked, what it asked for, and the outcome. */
import type Koa from 'koa';
import type { Context } from 'koa';
import { clip, type ProblemCode, Refusal } from '../../../shared/errors/errors.ts';
import { requestIdOf, routeOf } from '../../../shared/http/http-server.ts';
import { keyNameOf } from '../../../shared/http/request-log.ts';
import type { Log } from '../../../shared/observe/log.ts';

const accessRefusals: ReadonlySet<string> = new Set<ProblemCode>(['unauthenticated', 'forbidden', 'rate_limited']);

/** The fields of the action, once they are known. */
export function noteFields(ctx: Context, fields: Readonly<Record<string, unknown>>): void {
  ctx.state.actionFields = Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      name,
      clip(typeof value === 'string' ? value : String(JSON.stringify(value))),
    ]),
  );
}

/** Logs what changes something or tries to; a request that only reads is no action. */
export function audited(log: Log): Koa.Middleware {
  return async (ctx, next) => {
    if (ctx.method === 'GET' || ctx.method === 'HEAD') return next();
    let outcome = 'done';
    try {
      await next();
    } catch (error) {
      outcome = error instanceof Refusal ? error.code : 'internal';
      throw error;
    } finally {
      const line = {
        key: keyNameOf(ctx) ?? null,
        action: routeOf(ctx),
        fields: ctx.state.actionFields,
        outcome,
        request_id: requestIdOf(ctx),
      };
      // A client without the right key could fill the log: equal warnings are counted.
      if (outcome === 'done' && ctx.state.isRoutine === true) log.debug('routine action', line);
      else if (accessRefusals.has(outcome)) log.warn('admin action refused', line);
      else log.info('admin action', line);
    }
  };
}
