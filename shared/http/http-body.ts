/** Reads request bodies: bounded, of the accepted types, and with errors that give the location. */
import type { IncomingMessage } from 'node:http';
import type { Context } from 'koa';
import { clip, Refusal } from '../errors/errors.ts';
import { arrivingBodyOf } from './arriving-bodies.ts';
import { acceptedCodings, inflate, isAccepted, isPlain } from './content-coding.ts';

/** Refuses with 415 unless the content type is one of `accepted` (UTF-8), in a coding that is accepted. Returns which one it is. */
export function requireType<T extends string>(ctx: Context, accepted: readonly T[]): T {
  const header = ctx.get('content-type');
  const [type = '', ...parameters] = header.split(';').map((part) => part.trim().toLowerCase());
  const named = accepted.find((candidate) => candidate === type);
  const charset = parameters.find((parameter) => parameter.startsWith('charset='));
  const coding = ctx.get('content-encoding');
  const refuse = (detail: string): never => {
    throw new Refusal('unsupported_media_type', detail, { hint: `accepted: ${accepted.join(', ')}` });
  };
  if (named === undefined) {
    return refuse(
      `content-type ${header === '' ? 'is missing' : `"${clip(header, 80)}" is not accepted`}; send ${accepted.join(' or ')}`,
    );
  }
  if (charset !== undefined && !/^charset="?utf-?8"?$/.test(charset)) return refuse('the charset must be utf-8');
  if (!isAccepted(coding)) {
    const codings = acceptedCodings.join(' or ');
    throw new Refusal(
      'unsupported_media_type',
      `content-encoding "${clip(coding, 80)}" is not accepted; send the body as it is, or in ${codings}`,
      { hint: `accepted: identity, ${acceptedCodings.join(', ')}` },
    );
  }
  return named;
}

/**
 * The whole body, inflated if it is compressed: the limit counts what it is then, and as it is received. A larger one is refused with 413, in advance if `Content-Length` is known; the rest of it is discarded, bounded
 * by the server's request time-out, so that the client can read the answer. `reserve` is called with every part as it arrives and
 * may throw a refusal.
 */
export async function readBody(ctx: Context, limitBytes: number, reserve?: (bytes: number) => void): Promise<Buffer> {
  const received = await readReceived(ctx, limitBytes, reserve);
  const coding = ctx.get('content-encoding');
  if (isPlain(coding)) return received;
  let length = 0;
  return inflate(received, {
    coding,
    count(bytes) {
      length += bytes;
      if (length > limitBytes) throw tooLarge(limitBytes, 'the inflated body');
      reserve?.(bytes);
    },
  });
}

function tooLarge(limitBytes: number, what = 'the body'): Refusal {
  return new Refusal('body_too_large', `${what} is limited to ${limitBytes} bytes`, {
    hint: 'send it in smaller parts',
  });
}

function readReceived(ctx: Context, limitBytes: number, reserve?: (bytes: number) => void): Promise<Buffer> {
  const request = ctx.req;
  const declared = Number(request.headers['content-length'] ?? 0);
  if (declared > limitBytes) return Promise.reject(tooLarge(limitBytes));
  if (expectsContinue(request)) {
    ctx.state.continued = true;
    ctx.res.writeContinue();
  }
  const arrival = arrivingBodyOf(ctx);
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const end = (settle: () => void): void => {
      request.off('data', onData);
      request.off('end', onEnd);
      request.off('error', onBroken);
      request.off('close', onBroken);
      arrival?.left();
      settle();
    };
    const onData = (chunk: Buffer): void => {
      length += chunk.length;
      try {
        if (length > limitBytes) throw tooLarge(limitBytes);
        reserve?.(chunk.length);
        chunks.push(chunk);
      } catch (error) {
        end(() => reject(error));
        request.resume();
      }
    };
    const onEnd = (): void =>
      end(() => {
        try {
          arrival?.arrived();
        } catch (error) {
          reject(error);
          return;
        }
        resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks));
      });
    // The client has disconnected; the refusal only ends the handler.
    const onBroken = (): void => {
      request.on('error', () => {});
      end(() => reject(new Refusal('invalid_request', 'the connection closed before the end of the body')));
    };
    arrival?.arriving((refusal) => {
      // The rest of its body may never arrive; freeing its socket is worth more than its next request.
      ctx.set('connection', 'close');
      request.resume();
      end(() => reject(refusal));
    });
    request.on('data', onData);
    request.on('end', onEnd);
    request.on('error', onBroken);
    request.on('close', onBroken);
  });
}

/** The client waits before it sends the body: "100 Continue" is sent once it is certain that the body will be read. */
export function expectsContinue({ headers, httpVersion }: IncomingMessage): boolean {
  return httpVersion === '1.1' && headers.expect?.toLowerCase() === '100-continue';
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** The text of a body; 400 when it is not UTF-8. A byte order mark is dropped. */
export function decodeText(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new Refusal('invalid_json', 'the body is not UTF-8 text');
  }
}
