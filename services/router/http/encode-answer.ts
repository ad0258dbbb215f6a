/**
 * Compresses answers for clients that accept it (RFC 9110, section 12.5.3), outside of the event loop.
 *
 * zstd where Node's zlib has it (22.15 and later), otherwise gzip. A client that prefers one by its quality values gets that one.
 */
import { promisify } from 'node:util';
import * as zlib from 'node:zlib';
import type { Context } from 'koa';
import { zstdOf } from '../../../shared/http/content-coding.ts';

/** Shorter answers fit one packet or two, and are sent as they are. */
export const ENCODED_FROM_BYTES = 1_024;

type Encode = (bytes: Buffer) => Promise<Buffer>;

const gzip = promisify(zlib.gzip) as Encode;
const zstd = zstdOf(zlib)?.compress;

/** The one that is preferred among equals first. */
const encodings: ReadonlyMap<string, Encode> = new Map<string, Encode>([
  ...(zstd === undefined ? [] : [['zstd', zstd] as const]),
  ['gzip', gzip],
]);

export async function encodeAnswer(ctx: Context): Promise<void> {
  const { body } = ctx;
  if (typeof body !== 'string' && !Buffer.isBuffer(body)) return;
  const bytes = typeof body === 'string' ? Buffer.from(body) : body;
  if (bytes.length < ENCODED_FROM_BYTES) return;
  ctx.vary('Accept-Encoding');
  const name = preferred(ctx.get('accept-encoding'));
  if (name === undefined) return;
  const encoded = await encodings.get(name)!(bytes);
  ctx.set('content-encoding', name);
  ctx.body = encoded;
}

/** Of the accepted codings that are known, the one with the highest quality, at least that of no coding; undefined: none. */
function preferred(header: string): string | undefined {
  if (header === '') return undefined;
  const qualities = new Map<string, number>();
  for (const part of header.toLowerCase().split(',')) {
    const [coding = '', ...parameters] = part.split(';').map((text) => text.trim());
    const given = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2);
    const quality = given === undefined ? 1 : Number(given);
    if (coding !== '' && quality >= 0 && quality <= 1) qualities.set(coding === 'x-gzip' ? 'gzip' : coding, quality);
  }
  const others = qualities.get('*') ?? 0;
  let best: string | undefined;
  let bestQuality = qualities.get('identity') ?? 0;
  for (const name of encodings.keys()) {
    const quality = qualities.get(name) ?? others;
    if (quality > 0 && (best === undefined ? quality >= bestQuality : quality > bestQuality)) {
      best = name;
      bestQuality = quality;
    }
  }
  return best;
}
