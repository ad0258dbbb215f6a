/** From a drawn request to the bytes that are sent: mutated or not, with headers, with a length that every server understands alike. */
import { gzipSync } from 'node:zlib';
import type { Random } from '../../shared/kernel/kernel.ts';
import { chance, drawBetween, drawFraction, drawOne, seededRandom } from '../harness/kernel/seeded-random.ts';
import { type Drawn, drawRequest } from './grammar.ts';
import { hostileValues, jsonText, largeValues, Raw } from './values.ts';

/** Shares of the requests. */
const PLAIN_SHARE = 0.35;
const LARGE_SHARE = 0.001;
const KEYED_SHARE = 0.15;

export interface FuzzRequest {
  /** Its number in the run: with the seed, enough to draw it again. */
  readonly index: number;
  readonly route: string;
  readonly method: string;
  readonly target: string;
  readonly bytes: Buffer;
  /** Of the body, as it is sent. */
  readonly bodyBytes: number;
  /** A head that a client library would not send: such a request has its connection to itself, because it may end it. */
  readonly oddHead: boolean;
  /** What it waits for may take 2 s. */
  readonly waits: boolean;
}

/** The parts of a request that mutations change. */
interface Parts extends Drawn {
  headers: [name: string, value: string][];
  /** Instead of the text of `body`. */
  bytes?: Buffer;
  chunked: boolean;
  oddHead: boolean;
  method: string;
  query: [string, string][];
  /** Behind the query, as it is. */
  rawQuery: string;
}

/** A seed of its own for each request, so that it can be drawn alone. */
export function drawFuzzRequest(seed: number, index: number): FuzzRequest {
  const random = seededRandom(Math.imul(seed + 1, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b));
  random.bytes(16);
  const { route, ...drawn } = drawRequest(random, drawFraction(random));
  const headers: [string, string][] = [['host', 'fuzz']];
  const parts: Parts = { ...drawn, headers, chunked: false, oddHead: false, rawQuery: '' };
  if (parts.body !== undefined)
    headers.push(['content-type', parts.lines ? 'application/x-ndjson' : 'application/json']);
  if (chance(random, KEYED_SHARE)) headers.push(['idempotency-key', `key-${drawBetween(random, 0, 5_000)}`]);
  if (!chance(random, PLAIN_SHARE)) {
    for (let count = drawBetween(random, 1, 3); count > 0; count -= 1) drawOne(random, mutations)(parts, random);
  }
  return written(parts, random, { index, route });
}

type Mutation = (parts: Parts, random: Random) => void;

const hostile = (random: Random): unknown =>
  chance(random, LARGE_SHARE) ? drawOne(random, largeValues)() : copyOf(drawOne(random, hostileValues));

/** Further mutations change a value: of the list it would be another one in later requests, or hold itself. */
function copyOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(copyOf);
  if (typeof value !== 'object' || value === null || value instanceof Raw) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, copyOf(member)]));
}

/** Places of a value and of those within it, the outermost first; a few hundred at most. */
function placesOf(value: unknown): { readonly holder: Record<string, unknown>; readonly name: string }[] {
  const places: { holder: Record<string, unknown>; name: string }[] = [];
  const visit = (holder: unknown): void => {
    if (typeof holder !== 'object' || holder === null || holder instanceof Raw) return;
    for (const name of Object.keys(holder)) {
      if (places.length > 300) return;
      places.push({ holder: holder as Record<string, unknown>, name });
      visit((holder as Record<string, unknown>)[name]);
    }
  };
  visit(value);
  return places;
}

const onBody =
  (change: Mutation): Mutation =>
  (parts, random) =>
    parts.body === undefined ? parameterReplaced(parts, random) : change(parts, random);

const placeReplaced: Mutation = onBody((parts, random) => {
  const places = placesOf(parts.body);
  if (places.length === 0) return;
  const { holder, name } = drawOne(random, places);
  holder[name] = hostile(random);
});

const memberRemoved: Mutation = onBody((parts, random) => {
  const places = placesOf(parts.body).filter(({ holder }) => !Array.isArray(holder));
  if (places.length === 0) return;
  const { holder, name } = drawOne(random, places);
  delete holder[name];
});

const memberAdded: Mutation = onBody((parts, random) => {
  const holders = placesOf({ body: parts.body }).map(({ holder, name }) => holder[name]);
  const objects = holders.filter((each) => typeof each === 'object' && each !== null && !Array.isArray(each));
  if (objects.length === 0) return;
  const name = drawOne(random, [
    'user_id',
    'creator_id',
    '__proto__x',
    'entity_id',
    'region',
    'x'.repeat(200),
    'é',
    '',
  ]);
  (drawOne(random, objects) as Record<string, unknown>)[name] = hostile(random);
});

const bodyReplaced: Mutation = onBody((parts, random) => {
  parts.body = hostile(random);
  parts.lines = false;
});

const bodyWrapped: Mutation = onBody((parts, random) => {
  parts.body = drawOne(random, [[parts.body], [[parts.body]], { items: parts.body }, [parts.body, null]]);
});

/** Changes of the text, whose mark is a suffix or a change in the middle. */
const textDamaged: Mutation = onBody((parts, random) => {
  const bytes = Buffer.from(bodyText(parts));
  const at = drawBetween(random, 0, Math.max(0, bytes.length - 1));
  switch (drawBetween(random, 0, 6)) {
    case 0:
      parts.bytes = bytes.subarray(0, at);
      break;
    case 1:
      parts.bytes = Buffer.concat([Buffer.of(0xef, 0xbb, 0xbf), bytes]);
      break;
    case 2:
      parts.bytes = Buffer.concat([bytes.subarray(0, at), Buffer.of(0xc3, 0x28), bytes.subarray(at)]);
      break;
    case 3:
      parts.bytes = Buffer.concat([bytes, Buffer.from(drawOne(random, ['}', ']', ',', '\0', '{}', '\n{}', ' null']))]);
      break;
    case 4:
      parts.bytes = Buffer.alloc(0);
      break;
    case 5:
      parts.bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at, at + 40), bytes.subarray(at)]);
      break;
    default:
      for (let count = drawBetween(random, 1, 4); count > 0 && bytes.length > 0; count -= 1) {
        bytes[drawBetween(random, 0, bytes.length - 1)] = drawBetween(random, 0, 255);
      }
      parts.bytes = bytes;
  }
});

const parameterReplaced: Mutation = (parts, random) => {
  const value = hostile(random);
  const text = typeof value === 'string' ? value : value instanceof Raw ? value.text : jsonText(value);
  const name = drawOne(random, [
    ...parts.query.map(([each]) => each),
    'limit',
    'filter',
    'cursor',
    'region',
    'at',
    'nothing',
  ]);
  const rest = parts.query.filter(([each]) => each !== name || chance(random, 0.2));
  parts.query = [...rest, [name, text.slice(0, 6_000)]];
};

const queryBroken: Mutation = (parts, random) => {
  const tail = drawOne(random, [
    '%',
    '%zz',
    '%ff=%fe',
    '&&&',
    '=',
    '=&=',
    'a[]=1&a[]=2',
    '?',
    '%00=1',
    'limit',
    '&limit=1&limit=2',
    '+',
  ]);
  parts.rawQuery += (parts.query.length > 0 ? '&' : '') + tail;
};

const pathChanged: Mutation = (parts, random) => {
  const { path } = parts;
  const id = drawOne(random, [
    '-1',
    '1.5',
    '%00',
    '%ff',
    '..',
    '%2e%2e',
    '9007199254740993',
    '1e3',
    '__proto__',
    ' '.repeat(0),
    '1'.repeat(300),
  ]);
  parts.path = drawOne(random, [
    `${path}/`,
    `/${path}`,
    path.toUpperCase(),
    `${path}${drawOne(random, ['/..', '/%2e%2e/', ';x', '%2f', '/1', '%'])}`,
    path.replace(/\d+$/, id),
    `/internal${path}`,
    `/${id}`,
    `/${'a'.repeat(drawBetween(random, 1, 5_000))}`,
  ]);
  parts.oddHead = true;
};

const methodChanged: Mutation = (parts, random) => {
  parts.method = drawOne(random, [
    'GET',
    'POST',
    'PUT',
    'PATCH',
    'DELETE',
    'OPTIONS',
    'HEAD',
    'TRACE',
    'PROPFIND',
    'QUERY',
    'get',
    'BREW',
  ]);
  parts.oddHead = true;
};

const headerAdded: Mutation = (parts, random) => {
  const header = drawOne(random, [
    [
      'content-type',
      drawOne(random, [
        'text/plain',
        'application/json; charset=latin1',
        'application/json; charset=utf-8',
        '',
        'a',
        'application/x-ndjson',
        'multipart/form-data; boundary=x',
      ]),
    ],
    ['idempotency-key', drawOne(random, ['', ' ', 'a b', 'k'.repeat(255), 'k'.repeat(256), '\u00e9', ',', '"x"'])],
    [
      'prefer',
      drawOne(random, [
        'durability=stream',
        'durability=local',
        'durability',
        'durability=disk',
        'wait=1',
        ',,,',
        'x'.repeat(2_000),
      ]),
    ],
    ['x-tidal-position', drawOne(random, ['', 'a', 'us-east', 'us-east@aaaaaaaaaaaaa:-1', ',', 'x'.repeat(100_000)])],
    ['x-request-id', drawOne(random, ['', 'a'.repeat(129), 'a b', '{"a":1}', '\u00e9'])],
    ['authorization', drawOne(random, ['Bearer', 'Bearer x', 'Basic eDp5', 'x'.repeat(1_000)])],
    ['accept-encoding', drawOne(random, ['gzip', 'identity;q=0', 'br, gzip;q=0.5', '*', 'gzip;q=nan'])],
    ['origin', drawOne(random, ['null', 'http://evil.example', 'x', 'http://a:99999999'])],
    ['if-none-match', '*'],
    ['range', 'bytes=0-1'],
    ['upgrade', 'websocket'],
    ['te', 'trailers'],
    ['x-forwarded-for', '1.2.3.4, ::1, x'],
    ['x-tidal-version', 'later 99-99'],
    ['x'.repeat(200), 'y'],
  ] as [string, string][]);
  parts.headers = [...parts.headers.filter(([name]) => name !== header[0]), header];
  parts.oddHead = true;
};

const encoded: Mutation = onBody((parts, random) => {
  const bytes = Buffer.from(bodyText(parts));
  const [encoding, sent] = drawOne<readonly [string, () => Buffer]>(random, [
    ['gzip', () => gzipSync(bytes)],
    ['gzip', () => gzipSync(bytes)],
    ['gzip', () => gzipSync(bytes).subarray(0, 15)],
    ['gzip', () => Buffer.concat([gzipSync(bytes), Buffer.from('tail')])],
    ['gzip', () => bytes],
    ['gzip', () => gzipSync(gzipSync(bytes))],
    ['gzip, gzip', () => gzipSync(gzipSync(bytes))],
    ['br', () => bytes],
    ['identity', () => bytes],
    ['x', () => bytes],
    ['', () => bytes],
  ]);
  parts.bytes = chance(random, 0.02) ? gzipSync(Buffer.alloc(drawBetween(random, 1, 64) * 1024 * 1024, 32)) : sent();
  parts.headers.push(['content-encoding', encoding]);
  parts.oddHead = true;
});

const chunks: Mutation = onBody((parts) => {
  parts.chunked = true;
});

/** Those of values are repeated, so that they are drawn more often. */
const mutations: readonly Mutation[] = [
  ...Array<Mutation>(6).fill(placeReplaced),
  ...Array<Mutation>(4).fill(parameterReplaced),
  ...Array<Mutation>(3).fill(textDamaged),
  ...[
    memberRemoved,
    memberAdded,
    bodyReplaced,
    bodyWrapped,
    queryBroken,
    pathChanged,
    methodChanged,
    headerAdded,
    encoded,
    chunks,
  ],
];

function bodyText({ body, lines }: Parts): string {
  if (body === undefined) return '';
  return lines && Array.isArray(body) ? `${body.map(jsonText).join('\n')}\n` : jsonText(body);
}

function written(parts: Parts, random: Random, about: Pick<FuzzRequest, 'index' | 'route'>): FuzzRequest {
  const { method, chunked, oddHead, headers } = parts;
  const query = [...parts.query.map(([name, value]) => `${encode(name)}=${encode(value)}`)].join('&') + parts.rawQuery;
  const target = parts.path + (query === '' ? '' : `?${query}`);
  const body = parts.bytes ?? Buffer.from(bodyText(parts));
  const hasBody = parts.body !== undefined || body.length > 0;
  const framed = !hasBody ? [] : chunked ? ['transfer-encoding: chunked'] : [`content-length: ${body.length}`];
  const lines = [`${method} ${target} HTTP/1.1`, ...headers.map(([name, value]) => `${name}: ${value}`), ...framed];
  const head = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  const sent = !hasBody ? [] : chunked ? inChunks(body, random) : [body];
  return {
    ...about,
    ...{ method, target, oddHead, bodyBytes: body.length },
    waits: `${decoded(target)}${headers.join()}${body.subarray(0, 2_000)}`.includes('aaaaaaaaaaaaa:1'),
    bytes: Buffer.concat([head, ...sent]),
  };
}

function inChunks(body: Buffer, random: Random): Buffer[] {
  const chunks: Buffer[] = [];
  for (let at = 0; at < body.length; ) {
    const size = Math.min(body.length - at, drawBetween(random, 1, 1 + body.length));
    chunks.push(Buffer.from(`${size.toString(16)}\r\n`), body.subarray(at, at + size), Buffer.from('\r\n'));
    at += size;
  }
  return [...chunks, Buffer.from('0\r\n\r\n')];
}

/** As a form does, but for lone surrogates, which it cannot write. */
function encode(text: string): string {
  return encodeURIComponent(text.replace(/\p{Surrogate}/gu, '\ufffd'));
}

function decoded(target: string): string {
  return target.replaceAll('%40', '@').replaceAll('%3A', ':');
}
