/**
 * Cross-origin requests of browsers (the CORS protocol of the Fetch standard). Keys are bearer tokens, which a page adds itself, so
 * no answer allows credentials that a browser would add.
 */
import type { Context } from 'koa';

export interface CorsSettings {
  /** `*`: pages of every origin; undefined: of none. */
  readonly origins: '*' | readonly string[] | undefined;
  /** Methods and headers that a page may use, as answered to a preflight request. */
  readonly methods: readonly string[];
  readonly headers: readonly string[];
}

/** Headers of an answer that a page may read, beside those it always may. */
const EXPOSED = ['ETag', 'Retry-After', 'X-Request-Id', 'X-Tidal-Position'];
/** How long a browser remembers the answer to a preflight request, s. */
const MAX_AGE_S = 600;

/** Sets the headers that let a page read the answer. Returns whether the request is a preflight request, which is answered. */
export function answersCors(ctx: Context, { origins, methods, headers }: CorsSettings): boolean {
  if (origins === undefined) return false;
  if (origins !== '*') ctx.vary('Origin');
  const origin = ctx.get('origin');
  if (origin === '' || (origins !== '*' && !origins.includes(origin))) return false;
  ctx.set('access-control-allow-origin', origins === '*' ? '*' : origin);
  if (ctx.method !== 'OPTIONS' || ctx.get('access-control-request-method') === '') {
    ctx.set('access-control-expose-headers', EXPOSED.join(', '));
    return false;
  }
  ctx.set('access-control-allow-methods', methods.join(', '));
  ctx.set('access-control-allow-headers', headers.join(', '));
  ctx.set('access-control-max-age', String(MAX_AGE_S));
  ctx.status = 204;
  return true;
}
