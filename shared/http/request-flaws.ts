/** Requests that Node would answer by itself, without a body, or accept although a proxy may read them as another request. */
import type { IncomingMessage } from 'node:http';
import { Refusal } from '../errors/errors.ts';
import { expectsContinue } from './http-body.ts';

/** Limit of all headers except the one that may hold a position. */
const HEADER_LIMIT_BYTES = 32 * 1024;
/** Limit with it, or with the query: a position of 2,000 origins is 128 KiB at most, a tenth more if percent-encoded. */
export const HEAD_LIMIT_BYTES = 208 * 1024;
const POSITION_HEADER = 'x-tidal-position';
/** Node would drop further ones silently. */
const HEADERS_LIMIT = 1_000;

/** Undefined if it has none. */
export function flawOf(request: IncomingMessage): Refusal | undefined {
  const { rawHeaders, headers } = request;
  const count = rawHeaders.length / 2;
  if (count > HEADERS_LIMIT) {
    return new Refusal('headers_too_large', `the request has ${count} headers; the limit is ${HEADERS_LIMIT}`);
  }
  let bytes = 0;
  let hosts = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]!.toLowerCase();
    if (name !== POSITION_HEADER) bytes += name.length + rawHeaders[at + 1]!.length;
    if (name === 'host') hosts++;
  }
  if (bytes > HEADER_LIMIT_BYTES) return headersTooLarge(HEADER_LIMIT_BYTES, 'headers');
  if (request.httpVersion !== '1.1') return undefined;
  if (hosts !== 1) return new Refusal('invalid_request', `the request has ${hosts} Host headers; one is required`);
  if (/[\s/?#@\\,]/.test(headers.host ?? '')) return new Refusal('invalid_request', 'the Host header is not a host');
  if (headers.expect !== undefined && !expectsContinue(request)) {
    return new Refusal('expectation_failed', 'the only supported expectation is 100-continue');
  }
  return undefined;
}

function headersTooLarge(limitBytes: number, what: string): Refusal {
  return new Refusal('headers_too_large', `the ${what} is limited to ${limitBytes} bytes`);
}

/** The refusal of what could not be parsed as a request, or did not arrive in time. */
export function refusalOf({ code, message }: NodeJS.ErrnoException, arrivalMs: number): Refusal {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return headersTooLarge(HEAD_LIMIT_BYTES, 'request line and headers');
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new Refusal('request_timeout', `request not fully received within ${arrivalMs / 1_000} s`);
    default:
      return new Refusal('invalid_request', `malformed HTTP request: ${message}`);
  }
}
