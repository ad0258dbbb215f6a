/**
 * Cross-origin requests of browsers (the CORS protocol of the Fetch standard). Keys are bearer tokens, which a page adds itself, so
 * no answer allows credentials that a browser would add.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';

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

/** Sets the headers that let a page read the answer. Returns whether the request is a preflight request, which they answer. */
export function answersCors(request: IncomingMessage, response: ServerResponse, settings: CorsSettings): boolean {
  const { origins, methods, headers } = settings;
  if (origins === undefined) return false;
  if (origins !== '*') response.setHeader('vary', 'Origin');
  const { origin = '' } = request.headers;
  if (origin === '' || (origins !== '*' && !origins.includes(origin))) return false;
  response.setHeader('access-control-allow-origin', origins === '*' ? '*' : origin);
  if (request.method !== 'OPTIONS' || (request.headers['access-control-request-method'] ?? '') === '') {
    response.setHeader('access-control-expose-headers', EXPOSED.join(', '));
    return false;
  }
  response.setHeader('access-control-allow-methods', methods.join(', '));
  response.setHeader('access-control-allow-headers', headers.join(', '));
  response.setHeader('access-control-max-age', String(MAX_AGE_S));
  return true;
}
