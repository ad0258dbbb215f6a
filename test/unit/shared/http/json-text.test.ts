/** JSON of clients: where it ends to be JSON, what it may be nested and how wide, and which numbers it keeps. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Refusal } from '../../../../shared/errors/errors.ts';
import {
  JSON_DEPTH_LIMIT,
  JSON_ELEMENTS_LIMIT,
  JSON_MEMBERS_LIMIT,
  jsonErrorPosition,
  parseJson,
} from '../../../../shared/http/json-text.ts';

function refusalOf(text: string, at = ''): Refusal {
  try {
    parseJson(text, at);
  } catch (error) {
    assert.ok(error instanceof Refusal, String(error));
    return error;
  }
  return assert.fail(`taken: ${text.slice(0, 100)}`);
}

describe('reading JSON', () => {
  it('says where a text stops being JSON', () => {
    const cases: [string, number][] = [
      ['{"weight": NaN}', 11],
      ['{"a":1,}', 7],
      ['[1,2', 4],
      ['{"a" 1}', 5],
      ['[01]', 1],
      ['"a\nb"', 0],
      ['[1]]', 3],
      ['{"a":1 "b":2}', 7],
      ['[Infinity]', 1],
      ["{'a':1}", 1],
      ['["\\x"]', 1],
      ['nul', 0],
    ];
    for (const [text, position] of cases) {
      assert.equal(jsonErrorPosition(text), position, text);
      assert.throws(
        () => parseJson(text),
        (error: Refusal) => error.code === 'invalid_json' && error.message.includes(`position ${position}`),
      );
    }
    assert.throws(() => parseJson(' ', 'line 3'), /line 3: the body is empty/);
  });

  it('agrees with the engine on which prefix is still JSON', () => {
    fc.assert(
      fc.property(fc.json(), fc.nat(), fc.string({ minLength: 1, maxLength: 2 }), (json, at, noise) => {
        const cut = at % (json.length + 1);
        const text = json.slice(0, cut) + noise + json.slice(cut);
        let valid = true;
        try {
          JSON.parse(text);
        } catch {
          valid = false;
        }
        if (valid) return;
        const position = jsonErrorPosition(text);
        assert.ok(position >= 0 && position <= text.length);
      }),
    );
  });
});

describe('numbers that change when JSON is parsed', () => {
  const changed: readonly (readonly [text: string, path: string])[] = [
    ['{"metadata":{"tweet":9007199254740993}}', 'metadata.tweet'],
    ['{"metadata":{"tweet":-9007199254740993}}', 'metadata.tweet'],
    ['{"metadata":{"a":1,"c":123456789012345678901234567890}}', 'metadata.c'],
    ['{"metadata":{"a":["x","y"],"c":9007199254740992}}', 'metadata.c'],
    ['{"metadata":{"c":18446744073709551615}}', 'metadata.c'],
    ['{"metadata":{"c":9007199254740993e0}}', 'metadata.c'],
    ['{"metadata":{"c":90071992547409910E-1,"d":9007199254740993.0}}', 'metadata.d'],
    ['{"metadata":{"c":1e400}}', 'metadata.c'],
    ['{"metadata":{"c":-1e400}}', 'metadata.c'],
    ['{"metadata":{"c":1e-400}}', 'metadata.c'],
    ['{"metadata":{"c":3e-324}}', 'metadata.c'],
    [`{"metadata":{"c":0.${'0'.repeat(400)}1}}`, 'metadata.c'],
    ['{"metadata":{"c":1e300}}', 'metadata.c'],
    ['{"metadata":{"c":-0}}', 'metadata.c'],
    ['{"metadata":{"c":-0.000}}', 'metadata.c'],
    ['{"metadata":{"c":-0e5}}', 'metadata.c'],
    ['{"metadata":{"c":4503599627370497.3}}', 'metadata.c'],
    ['{"metadata":{"c":1.00000000000000000001}}', 'metadata.c'],
    ['{"metadata":{"c":0.99999999999999999999}}', 'metadata.c'],
    ['{"entity_id":9007199254740990.6}', 'entity_id'],
    ['{"entity_id":7.000000000000000000001}', 'entity_id'],
    ['[{"a":1},{"b":{"c":[],"d":9007199254740993}}]', '[1]: b.d'],
    ['{"a":"\\"9007199254740993","b\\u0041":9007199254740993}', 'bA'],
    ['9007199254740993', 'the number'],
  ];
  for (const [text, path] of changed) {
    it(`${text.slice(0, 80)} is refused by name`, () => {
      const refusal = refusalOf(text, 'line 3');
      assert.equal(refusal.code, 'invalid_request');
      assert.ok(refusal.message.startsWith(`line 3: ${path} is `), refusal.message);
    });
  }

  for (const text of [
    '9007199254740991',
    '-9007199254740991',
    '9007199254740991.0',
    '90071992547409910e-1',
    '1e15',
    '1.5e3',
    '0',
    '0.0',
    '0e9',
    '0.1',
    '-0.5',
    '0.30000000000000004',
    '0.1000000000000000055511151231257827',
    '3.14159265358979323846',
    '2251799813685249.5',
    '1000000000000000.125',
    '2.5e-300',
    '100.00',
  ]) {
    it(`${text} is kept`, () => {
      assert.equal((parseJson(`{"metadata":{"n":${text}}}`) as { metadata: { n: number } }).metadata.n, Number(text));
    });
  }

  it('numbers of vectors are rounded to 32 bits anyway, texts are no numbers, and processes write what they hold', () => {
    for (const text of ['{"values":[1e-400,-0,0.12345678901234567890, 9007199254740993 ]}', '"9007199254740993 -0"']) {
      assert.deepEqual(parseJson(text), JSON.parse(text));
    }
    assert.deepEqual(parseJson('{"m":1e300}', '', { inexact: 'allowed' }), { m: 1e300 });
  });

  it('what JavaScript writes of integers and decimals is always kept, anywhere', () => {
    const number = fc.oneof(
      fc.maxSafeInteger(),
      fc.double({ min: -1e15, max: 1e15, noNaN: true }).filter((value) => value === 0 || Math.abs(value) > 1e-300),
    );
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.oneof(number, fc.string())), fc.array(number), (record, list) => {
        const text = JSON.stringify([{ record, list }]);
        assert.deepEqual(parseJson(text), JSON.parse(text));
      }),
    );
  });

  it('a decimal text is either refused or denotes the number that is kept, to fifteen digits', () => {
    const digits = fc.string({ unit: fc.constantFrom(...'0123456789'), minLength: 1, maxLength: 25 });
    fc.assert(
      fc.property(digits, digits, fc.integer({ min: -30, max: 30 }), (whole, fraction, exponent) => {
        const text = `${BigInt(whole)}.${fraction}e${exponent}`;
        let value: number;
        try {
          value = (parseJson(`{"n":${text}}`) as { n: number }).n;
        } catch {
          return;
        }
        // As integers of one scale: 30 + 25 decimals hold every text.
        const scale = 60;
        const written = BigInt(BigInt(whole) + fraction) * 10n ** BigInt(scale - fraction.length + exponent);
        const [head = '0', tail = '0'] = value.toExponential(20).split('e');
        const shift = scale + Number(tail) - 20;
        const held = BigInt(head.replace('.', ''));
        const kept = shift >= 0 ? held * 10n ** BigInt(shift) : held / 10n ** BigInt(-shift);
        const difference = written > kept ? written - kept : kept - written;
        assert.ok(difference * 10n ** 15n <= (written > kept ? written : kept) + 10n ** 16n, `${text} became ${value}`);
        if (Number.isInteger(value)) assert.equal(BigInt(value) * 10n ** BigInt(scale), written, text);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('JSON that is made to be expensive', () => {
  for (const [what, text, says] of [
    ['2,000,000 opening brackets', '['.repeat(2_000_000), /nested more than 16 deep/],
    ['400,000 nested objects', '{"a":'.repeat(400_000), /nested more than 16 deep/],
    ['brackets and braces by turns', '[{"a":'.repeat(300_000), /nested more than 16 deep/],
    ['a nesting that is closed again', `${'['.repeat(17)}${']'.repeat(17)}`, /nested more than 16 deep/],
    [
      '200,000 members',
      `{${Array.from({ length: 200_000 }, (_, n) => `"${n}":1`).join(',')}}`,
      /more than 1024 members/,
    ],
    ['300,000 times the same member', `{${'"k":1,'.repeat(300_000)}"k":2}`, /more than 1024 members/],
    ['a wide object deep inside', `[[{"a":{${'"k":[],'.repeat(100_000)}"k":2}}]]`, /more than 1024 members/],
    ['690,000 empty arrays', `[${'[],'.repeat(690_000)}[]]`, /100000 elements/],
  ] as const) {
    it(`${what}: refused before it is parsed`, () => {
      const { parse } = JSON;
      let parsed = 0;
      JSON.parse = (...given: Parameters<typeof parse>) => {
        parsed++;
        return parse(...given) as unknown;
      };
      try {
        const refusal = refusalOf(text);
        assert.equal(refusal.code, 'invalid_request');
        assert.match(refusal.message, says);
        assert.equal(parsed, 0);
      } finally {
        JSON.parse = parse;
      }
    });
  }

  it('what reaches the limits is parsed', () => {
    const inside = JSON_DEPTH_LIMIT - 1;
    for (const text of [
      `${'['.repeat(inside)}{"a":1}${']'.repeat(inside)}`,
      `{${Array.from({ length: JSON_MEMBERS_LIMIT }, (_, n) => `"${n}":"x"`).join(',')}}`,
      `[${Array.from({ length: JSON_ELEMENTS_LIMIT }, () => '""').join(',')}]`,
      `[${'{},'.repeat(50)}"]]]]{{{{,,,,"]`,
    ]) {
      assert.deepEqual(parseJson(text), JSON.parse(text));
    }
  });

  it('the offset of the error in a text of 2 MiB is found in one scan', () => {
    assert.equal(jsonErrorPosition('['.repeat(100_000)), 100_000);
    assert.equal(refusalOf('{"a":1}x').code, 'invalid_json');
  });
});
