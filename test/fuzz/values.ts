/** Values of requests: those the surface takes, and hostile ones. A hostile value may be text that no JSON value is written as. */
import type { Random } from '../../shared/kernel/kernel.ts';
import { chance, drawBetween, drawOne } from '../harness/kernel/seeded-random.ts';

/** Draws a value: of a field of a body, or, as text, of a parameter. */
export type Draw = (random: Random) => unknown;

/** JSON as it is written, valid or not. */
export class Raw {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** As `JSON.stringify`, with `Raw` written as it is. */
export function jsonText(value: unknown): string {
  if (value instanceof Raw) return value.text;
  if (Array.isArray(value)) return `[${value.map(jsonText).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    return `{${Object.entries(value)
      .map(([name, member]) => `${JSON.stringify(name)}:${jsonText(member)}`)
      .join(',')}}`;
  }
  return JSON.stringify(value) ?? 'null';
}

const ENTITIES = 2_000;
const words = [
  'jazz',
  'piano',
  'blue',
  'train',
  'night',
  'live',
  'news',
  'der',
  'the',
  'café',
  'Straße',
  '東京',
] as const;
const categories = ['music', 'news', 'jazz', 'Jazz', 'sport'] as const;
const regions = ['us-east', 'eu-west', 'ap-south'] as const;
const profiles =
  'trending hot new top rising best controversial debated hidden_gems most_viewed most_liked shuffle related fresh_favourites'.split(
    ' ',
  );

export const oneOf =
  (...choices: readonly unknown[]): Draw =>
  (random) =>
    drawOne(random, choices);
export const between =
  (least: number, most: number): Draw =>
  (random) =>
    drawBetween(random, least, most);

export const entity: Draw = between(0, ENTITIES - 1);
export const region: Draw = oneOf(...regions);
export const limit: Draw = between(1, 20);
export const profile: Draw = oneOf(...profiles);
export const explain: Draw = oneOf('true', 'false');
export const sort: Draw = oneOf('year', 'year:desc,score', 'title,entity_id:desc', 'when', 'created_at', '"score":asc');
export const fields: Draw = oneOf('title', 'title,"og:type"', 'nothing');
export const facets: Draw = oneOf(
  'category',
  'tags,year',
  'year[..1960,1960..2000,2000..],when[2024-01-01..]',
  'title,live',
);
export const highlight: Draw = oneOf('title');
export const yes: Draw = oneOf(true, false);
export const maxPer: Draw = oneOf('category:1', 'category:2', 'tags:3');
/** A stored time of the past, or now. */
export const time: Draw = oneOf('2026-01-15T10:00:00Z', '2026-01-15T10:00:00.5+02:00', 1_768_471_200_000);
export const signal: Draw = oneOf('view', 'like', 'share', 'completion', 'skip', 'hide');
export const weight: Draw = oneOf(1, 0.5, 0, 2.125, 10_000, 0.001);
/** One that no region has reached waits 2 s: seldom drawn. */
export const position: Draw = (random) => (chance(random, 0.01) ? 'us-east@aaaaaaaaaaaaa:1' : '');
export const text: Draw = (random) =>
  Array.from({ length: drawBetween(random, 1, 4) }, () => drawOne(random, words)).join(' ');

export const vector: Draw = (random) => Array.from({ length: 4 }, () => drawBetween(random, -100, 100) / 100);

export const metadata: Draw = (random) => ({
  title: text(random),
  category: drawOne(random, categories),
  year: drawBetween(random, 1950, 2026),
  ...(chance(random, 0.3) ? { tags: [drawOne(random, words), drawOne(random, categories)] } : {}),
  ...(chance(random, 0.2) ? { live: chance(random, 0.5), when: '2024-01-01T01:00:00+01:00' } : {}),
});

/** Of metadata: null removes a field. */
export const patch: Draw = (random) => ({
  ...(metadata(random) as object),
  [drawOne(random, ['year', 'tags', 'x'])]: null,
});

export const ids: Draw = (random) => Array.from({ length: drawBetween(random, 1, 20) }, () => entity(random)).join(',');

/** As an array of a body. */
export const excluded: Draw = (random) => Array.from({ length: drawBetween(random, 0, 20) }, () => entity(random));
export const filters: Draw = (random) =>
  chance(random, 0.5) ? filter(random) : Array.from({ length: drawBetween(random, 0, 3) }, () => filter(random));

export const searchQuery: Draw = (random) => {
  const term = (): string =>
    drawOne(random, ['', '', '+', '-', 'title:', 'category:']) +
    drawOne(random, words) +
    drawOne(random, ['', '', '*', '~1', '^3']);
  return Array.from({ length: drawBetween(random, 1, 5) }, term).join(' ');
};

/** By the grammar of docs/api.md. */
export const filter: Draw = (random) => filterOf(random, 3);

function filterOf(random: Random, depth: number): string {
  const inner = (): string => filterOf(random, depth - 1);
  switch (depth === 0 ? 0 : drawBetween(random, 0, 5)) {
    case 1:
      return `${inner()} AND ${inner()}`;
    case 2:
      return `${inner()} OR ${inner()}`;
    case 3:
      return `NOT ${inner()}`;
    case 4:
      return `(${inner()})`;
    default:
      return drawOne(random, [
        `category:${drawOne(random, categories)}`,
        `category:!${drawOne(random, categories)}|news`,
        `year${drawOne(random, ['<', '<=', '>', '>=', ':', '=', '!='])}${drawBetween(random, 1950, 2026)}`,
        `year:[${drawBetween(random, 1950, 1990)}..${drawOne(random, ['', '2000'])}]`,
        'tags~JAZZ',
        'category in [news, "music"]',
        'year exists',
        `title:"${drawOne(random, words)}"`,
        'when>=2024-01-01',
      ]);
  }
}

const deep = (depth: number, open: string, close: string): Raw =>
  new Raw(`${open.repeat(depth)}1${close.repeat(depth)}`);

/** Small ones, each drawn as often as another. */
export const hostileValues: readonly unknown[] = [
  ...[null, true, false, 0, -1, 0.1, 1.5, -0.5, 2 ** 31, 2 ** 53, 2 ** 53 - 1, 253_402_300_800_000, 1_768_507_200],
  ...[
    '-0',
    '1e400',
    '-1e400',
    '1e-400',
    '9007199254740993',
    'NaN',
    'Infinity',
    '01',
    '+1',
    '0x10',
    '1.',
    '.5',
    '1e',
    '',
  ].map((json) => new Raw(json)),
  ...[
    '"\\ud800"',
    '"\\u0000"',
    '"\\x"',
    '"\u0001"',
    '"',
    "'a'",
    '{"a":1,"a":2}',
    '{"__proto__":{"a":1}}',
    '{,}',
    '[1,]',
  ].map((json) => new Raw(json)),
  ...[[], {}, [[]], [null], [1, 'a'], { a: { b: 1 } }, { '': 1 }],
  ...[
    '',
    ' ',
    '\0',
    '\n',
    '\u2028',
    'e\u0301',
    '\u202e',
    '\ufeff',
    '𝔘',
    '__proto__',
    'constructor',
    'toString',
    'hasOwnProperty',
  ],
  ...[
    '-1',
    '1e3',
    '0x10',
    '٣',
    '１',
    '1 ',
    '+1',
    '00',
    'null',
    'undefined',
    'true',
    'NaN',
    '../../etc/passwd',
    '%00',
    '%',
    '*',
    '~',
    '^',
  ],
  ...[
    '2026-02-30T00:00:00Z',
    '2026-01-15T10:00:60Z',
    '0000-00-00',
    'us-east@aaaaaaaaaaaaa:1',
    'a:1,b:',
    ':',
    ',',
    'a'.repeat(256),
  ],
  ...[
    'category:',
    'category:(',
    'NOT',
    'AND AND',
    '((((((((((',
    'year:[..]',
    'a:"',
    '(a:1',
    'year:[1..2',
    'a in [',
    'a'.repeat(1_001),
  ],
  ...['*', '**', '+', '-', '+-a', 'a^', 'a^99999', 'a~', 'a~9', ':a', 'nofield:a', '"a b"', 'a'.repeat(5_000)],
  deep(17, '[', ']'),
  deep(400, '[', ']'),
  deep(20, '{"a":', '}'),
];

/** Large ones, drawn seldom. */
export const largeValues: readonly (() => unknown)[] = [
  () => 'x'.repeat(300_000),
  () => '𝔘'.repeat(100_000),
  () => Object.fromEntries(Array.from({ length: 2_000 }, (_, index) => [`field${index}`, index])),
  () => Array.from({ length: 110_000 }, () => 1),
  () => deep(200_000, '[', ']'),
];
