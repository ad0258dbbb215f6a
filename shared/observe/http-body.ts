/** Reading request bodies: bounded, of the accepted types, and with errors that say where. */
import type { Context } from 'koa';
import { Refusal } from '../errors/errors.ts';

/** Refuses with 415 unless the content type is one of `accepted` (UTF-8, not compressed). Answers which one it is. */
export function requireType<T extends string>(ctx: Context, accepted: readonly T[]): T {
  const header = ctx.get('content-type');
  const [type = '', ...parameters] = header.split(';').map((part) => part.trim().toLowerCase());
  const named = accepted.find((candidate) => candidate === type);
  const charset = parameters.find((parameter) => parameter.startsWith('charset='));
  const encoding = ctx.get('content-encoding').toLowerCase();
  const refuse = (detail: string): never => {
    throw new Refusal('unsupported_media_type', detail, { hint: `accepted: ${accepted.join(', ')}` });
  };
  if (named === undefined) {
    return refuse(
      `content-type ${header === '' ? 'is missing' : `"${clip(header)}" is not accepted`}; send ${accepted.join(' or ')}`,
    );
  }
  if (charset !== undefined && !/^charset="?utf-?8"?$/.test(charset)) return refuse('the charset must be utf-8');
  if (encoding !== '' && encoding !== 'identity') return refuse('compressed bodies are not accepted');
  return named;
}

/**
 * The whole body. A larger one is refused with 413, up front where `Content-Length` tells; what still arrives of it is
 * discarded, bounded by the server's request time-out, so that the client can read the answer. `reserve` is told of every
 * part as it arrives and may throw a refusal.
 */
export function readBody(ctx: Context, limitBytes: number, reserve?: (bytes: number) => void): Promise<Buffer> {
  const request = ctx.req;
  const tooLarge = (): Refusal =>
    new Refusal('body_too_large', `the body may have at most ${limitBytes} bytes`, {
      hint: 'send it in smaller parts',
    });
  const declared = Number(request.headers['content-length'] ?? 0);
  if (declared > limitBytes) return Promise.reject(tooLarge());
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const end = (settle: () => void): void => {
      request.off('data', onData);
      request.off('end', onEnd);
      request.off('error', onBroken);
      request.off('close', onBroken);
      settle();
    };
    const onData = (chunk: Buffer): void => {
      length += chunk.length;
      try {
        if (length > limitBytes) throw tooLarge();
        reserve?.(chunk.length);
        chunks.push(chunk);
      } catch (error) {
        end(() => reject(error));
        request.resume();
      }
    };
    const onEnd = (): void => end(() => resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)));
    // Nobody is left to read the answer; the refusal only ends the handler.
    const onBroken = (): void => {
      request.on('error', () => {});
      end(() => reject(new Refusal('invalid_request', 'the request ended before its body')));
    };
    request.on('data', onData);
    request.on('end', onEnd);
    request.on('error', onBroken);
    request.on('close', onBroken);
  });
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

/** Any JSON value. `at` prefixes the error: `line 3`. */
export function parseJson(text: string, at = ''): unknown {
  try {
    return JSON.parse(text);
  } catch {
    const where = at === '' ? '' : `${at}: `;
    if (text.trim() === '') throw new Refusal('invalid_json', `${where}the body is empty; send a JSON value`);
    const position = jsonErrorPosition(text);
    const found = position >= text.length ? 'the end' : `"${text.slice(position, position + 10)}"`;
    const detail = `${where}not valid JSON at position ${position}, before ${found}`;
    throw new Refusal('invalid_json', detail, {
      errors: [{ path: `${where}position ${position}`, message: 'not valid JSON here' }],
    });
  }
}

const literal = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.+-])|(?:true|false|null)(?!\w)/y;
const escaped = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;

/** Where the string that starts at `start` ends, exclusively; undefined when it is not one. */
function stringEnd(text: string, start: number): number | undefined {
  for (let position = start + 1; position < text.length; position += 1) {
    const code = text.charCodeAt(position);
    if (code === 0x22) return position + 1;
    if (code < 0x20) return undefined;
    if (code !== 0x5c) continue;
    escaped.lastIndex = position;
    if (!escaped.test(text)) return undefined;
    position = escaped.lastIndex - 1;
  }
  return undefined;
}

/** Where the number or name that starts at `start` ends, exclusively; undefined when it is neither. */
function literalEnd(text: string, start: number): number | undefined {
  literal.lastIndex = start;
  return literal.test(text) ? literal.lastIndex : undefined;
}

/** Where an invalid JSON text stops being one, in UTF-16 units. The engine tells only sometimes. */
export function jsonErrorPosition(text: string): number {
  const open: string[] = [];
  let want: 'value' | 'value or ]' | 'key' | 'key or }' | ':' | 'comma or close' = 'value';
  for (let position = 0; ; ) {
    while (' \t\n\r'.includes(text[position] ?? '.')) position += 1;
    const mark = text[position] ?? '';
    let end: number | undefined = position + 1;
    if (want === 'comma or close') {
      const inside = open.at(-1);
      if (inside === undefined) return position;
      if (mark === ',') want = inside === '{' ? 'key' : 'value';
      else if (mark === (inside === '{' ? '}' : ']')) open.pop();
      else return position;
    } else if (want === ':') {
      if (mark !== ':') return position;
      want = 'value';
    } else if ((mark === '}' && want === 'key or }') || (mark === ']' && want === 'value or ]')) {
      open.pop();
      want = 'comma or close';
    } else if (want === 'key' || want === 'key or }') {
      end = mark === '"' ? stringEnd(text, position) : undefined;
      want = ':';
    } else if (mark === '{' || mark === '[') {
      open.push(mark);
      want = mark === '{' ? 'key or }' : 'value or ]';
    } else {
      end = mark === '"' ? stringEnd(text, position) : literalEnd(text, position);
      want = 'comma or close';
    }
    if (end === undefined) return position;
    position = end;
  }
}

function clip(text: string): string {
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
