/**
 * What no HTTP client sends: bytes on a socket. Each case says what an answer may be; none is ever a 5xx, and a request hidden in
 * another one is never executed: the writes in them are under the entity `HIDDEN`, which must stay unknown.
 */
import { connect } from 'node:net';
import type { Random } from '../../shared/kernel/kernel.ts';
import { drawBetween, drawOne } from '../harness/kernel/seeded-random.ts';
import { AnswerReader } from './answers.ts';

/** Outside of what requests are drawn from. */
export const HIDDEN = 424_242_424_242;

const CASE_LIMIT_MS = 25_000;

export interface RawCase {
  readonly name: string;
  /** Pieces, with a pause before each but the first. */
  readonly pieces: readonly (string | Buffer)[];
  readonly pauseMs?: number;
  /** What the client does after the last piece; `wait`: nothing. */
  readonly ending?: 'wait' | 'half-close' | 'reset';
}

export interface RawOutcome {
  readonly name: string;
  readonly statuses: readonly number[];
  /** Of its writes that were accepted. */
  readonly events: number;
  /** Why it is a finding. */
  readonly flaw?: string;
}

const hiddenBody = JSON.stringify({ entity_id: HIDDEN, signal: 'view' });
const post = (headers: string, body: string): string =>
  `POST /signals HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n${headers}\r\n${body}`;
const hidden = post(`content-length: ${hiddenBody.length}\r\n`, hiddenBody);
const get = (headers = ''): string => `GET /health/live HTTP/1.1\r\nhost: x\r\n${headers}\r\n`;

/** Shapes whose end two servers could see in different places; each hides a write behind what one of them would read. */
const smuggling: Readonly<Record<string, string>> = {
  'length and chunked': post(`content-length: 5\r\ntransfer-encoding: chunked\r\n`, `0\r\n\r\n${hidden}`),
  'chunked and length': post(
    `transfer-encoding: chunked\r\ncontent-length: ${hidden.length + 5}\r\n`,
    `0\r\n\r\n${hidden}`,
  ),
  'two lengths': post(`content-length: 2\r\ncontent-length: ${hidden.length + 2}\r\n`, `{}${hidden}`),
  'a list of lengths': post('content-length: 2, 200\r\n', `{}${hidden}`),
  'a length with a sign': post('content-length: +2\r\n', `{}${hidden}`),
  'a negative length': post('content-length: -2\r\n', `{}${hidden}`),
  'a length in hexadecimal': post('content-length: 0x2\r\n', `{}${hidden}`),
  'a length beyond 2^64': post('content-length: 18446744073709551618\r\n', `{}${hidden}`),
  'a space before the colon': post('content-length : 2\r\n', `{}${hidden}`),
  'chunked twice': post('transfer-encoding: chunked, chunked\r\n', `0\r\n\r\n${hidden}`),
  'chunked, not last': post('transfer-encoding: chunked, identity\r\n', `0\r\n\r\n${hidden}`),
  'another transfer encoding': post('transfer-encoding: xchunked\r\n', `0\r\n\r\n${hidden}`),
  'a vertical tab before chunked': post('transfer-encoding:\x0bchunked\r\n', `0\r\n\r\n${hidden}`),
  'a folded header': post('transfer-encoding:\r\n chunked\r\ncontent-length: 2\r\n', `{}${hidden}`),
  'lines that end with LF': hidden.replaceAll('\r\n', '\n'),
  'a CR in a header': post(`x: a\rcontent-length: ${hidden.length}\r\ncontent-length: 0\r\n`, hidden),
  'a NUL in a header': post(`x: a\0b\r\ncontent-length: 2\r\n`, `{}${hidden}`),
  'a chunk size with a sign': post('transfer-encoding: chunked\r\n', `+5\r\n{"a":\r\n0\r\n\r\n${hidden}`),
  'a chunk size beyond 2^64': post('transfer-encoding: chunked\r\n', `10000000000000002\r\n{}\r\n0\r\n\r\n${hidden}`),
  'a chunk that is longer than it says': post('transfer-encoding: chunked\r\n', `2\r\n{}{}\r\n0\r\n\r\n${hidden}`),
  'no host': hidden.replace('host: x\r\n', ''),
  'two hosts': hidden.replace('host: x\r\n', 'host: x\r\nhost: y\r\n'),
};

const wrongProtocols: Readonly<Record<string, string | Buffer>> = {
  'HTTP/2': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x12\x04\0\0\0\0\0',
  'HTTP/0.9': 'GET /feed\r\n',
  'HTTP/3.7': 'GET /feed HTTP/3.7\r\nhost: x\r\n\r\n',
  TLS: Buffer.from('16030100c2010000be0303', 'hex'),
  NATS: 'CONNECT {"verbose":false}\r\nPUB tidal.wal.us-east.x 2\r\n{}\r\nPING\r\n',
  Redis: '*1\r\n$8\r\nFLUSHALL\r\n',
  SSH: 'SSH-2.0-OpenSSH_9.2\r\n',
  SMTP: 'EHLO x\r\n',
  PostgreSQL: Buffer.from('0000000804d2162f', 'hex'),
  WebSocket: get(
    'connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n',
  ),
  'an answer': 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n',
  CONNECT: 'CONNECT 127.0.0.1:22 HTTP/1.1\r\nhost: 127.0.0.1:22\r\n\r\n',
  'an asterisk': 'OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n',
  'an absolute target': 'GET http://other:9510/internal/status HTTP/1.1\r\nhost: x\r\n\r\n',
};

/** Those that are answered, and those whose client goes away or dawdles. */
const generators: readonly ((random: Random) => RawCase)[] = [
  (random) => {
    const name = drawOne(random, Object.keys(smuggling));
    return { name, pieces: [smuggling[name]!], ending: 'half-close' };
  },
  (random) => {
    const name = drawOne(random, Object.keys(wrongProtocols));
    return { name, pieces: [wrongProtocols[name]!], ending: 'half-close' };
  },
  (random) => ({
    name: 'noise',
    pieces: [Buffer.from(random.bytes(drawBetween(random, 1, 2_000)))],
    ending: 'half-close',
  }),
  (random) => ({
    name: 'a torn head',
    pieces: [get().slice(0, drawBetween(random, 1, 30))],
    ending: drawOne(random, ['half-close', 'reset']),
  }),
  (random) => ({
    name: 'a torn body',
    pieces: [post('content-length: 100\r\n', '{"entity_id"'.slice(0, drawBetween(random, 0, 12)))],
    ending: drawOne(random, ['half-close', 'reset']),
  }),
  (random) => ({
    name: 'a head byte by byte',
    pieces: get().split(''),
    pauseMs: drawBetween(random, 1, 10),
    ending: 'half-close',
  }),
  (random) => ({
    name: 'a body byte by byte',
    pieces: [post('content-length: 30\r\n', ''), ...'{"entity_id":1,"signal":"no_"}'.split('')],
    pauseMs: drawBetween(random, 1, 10),
    ending: 'half-close',
  }),
  (random) => ({ name: 'many pipelined', pieces: [get().repeat(drawBetween(random, 50, 400))], ending: 'half-close' }),
  (random) => ({
    name: 'pipelined behind a flaw',
    pieces: [`GET /feed HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n${get()}${'\0'.repeat(drawBetween(random, 1, 9))}`],
    ending: 'half-close',
  }),
  (random) => ({
    name: 'a huge head',
    pieces: [get(`x: ${'a'.repeat(drawBetween(random, 33_000, 300_000))}\r\n`)],
    ending: 'half-close',
  }),
  (random) => ({
    name: 'many headers',
    pieces: [get('a: b\r\n'.repeat(drawBetween(random, 1_001, 6_000)))],
    ending: 'half-close',
  }),
  (random) => ({
    name: 'a huge target',
    pieces: [`GET /${'a'.repeat(drawBetween(random, 10_000, 300_000))} HTTP/1.1\r\nhost: x\r\n\r\n`],
    ending: 'half-close',
  }),
  () => ({
    name: 'a huge body announced',
    pieces: [post('expect: 100-continue\r\ncontent-length: 999999999999\r\n', '')],
    ending: 'half-close',
  }),
  (random) => ({
    name: 'an oversized body',
    pieces: [post('content-length: 3000000\r\n', ''), ' '.repeat(drawBetween(random, 1_000, 3_000_000))],
    ending: 'half-close',
  }),
  (random) => ({
    name: 'an answer that is not read',
    pieces: [`GET /feed?limit=200 HTTP/1.1\r\nhost: x\r\n\r\n`.repeat(drawBetween(random, 1, 20))],
    ending: 'reset',
  }),
];

/** How many cases there are names for, so that a run can say that it has sent all. */
export function drawRawCase(random: Random): RawCase {
  return drawOne(random, generators)(random);
}

/** Resolves when the server has closed, or the client has. */
export function runRawCase(port: number, { name, pieces, pauseMs = 0, ending = 'wait' }: RawCase): Promise<RawOutcome> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    const received: Buffer[] = [];
    let hasTimedOut = false;
    const timer = setTimeout(() => {
      hasTimedOut = true;
      socket.destroy();
    }, CASE_LIMIT_MS);
    const pieceAt = (index: number): void => {
      if (socket.destroyed) return;
      if (index === pieces.length) {
        if (ending === 'half-close') socket.end();
        else if (ending === 'reset') setTimeout(() => socket.resetAndDestroy(), 5);
        return;
      }
      socket.write(pieces[index]!);
      if (pauseMs === 0) pieceAt(index + 1);
      else setTimeout(() => pieceAt(index + 1), pauseMs);
    };
    socket.on('connect', () => pieceAt(0));
    socket.on('data', (data: Buffer) => received.push(data));
    socket.on('end', () => socket.end());
    socket.on('error', () => {});
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(judged(name, Buffer.concat(received), { hasTimedOut, isWhole: ending === 'half-close' }));
    });
  });
}

function judged(
  name: string,
  received: Buffer,
  { hasTimedOut, isWhole }: { readonly hasTimedOut: boolean; readonly isWhole: boolean },
): RawOutcome {
  const reader = new AnswerReader();
  reader.add(received);
  const statuses: number[] = [];
  let events = 0;
  const flaws: string[] = [];
  try {
    for (let answer = reader.next(false); answer !== undefined; answer = reader.next(false)) {
      statuses.push(answer.status);
      const text = answer.body.toString();
      // Of a request that is whole, whatever is before or behind it.
      if (answer.status === 200) events += Number(/"accepted":(\d+)/.exec(text)?.[1] ?? 0);
      const isBusy = answer.status === 503 && text.includes('"overloaded"');
      if (answer.status >= 500 && !isBusy) flaws.push(`answered ${answer.status}: ${text.slice(0, 300)}`);
    }
    if (isWhole && reader.left.length > 0)
      flaws.push(`an answer that is not whole: ${reader.left.toString('latin1', 0, 200)}`);
  } catch (error) {
    flaws.push((error as Error).message);
  }
  if (hasTimedOut) flaws.push(`the connection was still open after ${CASE_LIMIT_MS} ms`);
  return { name, statuses, events, ...(flaws.length === 0 ? {} : { flaw: flaws.join('; ') }) };
}
