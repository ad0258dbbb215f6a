import assert from 'node:assert/strict';
import { filterSyntax } from '../../../../services/region/filter/grammar/grammar.ts';
import { parseSchema } from '../../../../services/region/schema/parse-schema.ts';
import { builtInProfiles } from '../../../../services/region/schema/schema.ts';
import { ConfigError } from '../../../../shared/errors/config-error.ts';

const base = [
  'signals:',
  '  view: { sentiment: positive, half_life: 24h, windows: [24h, all] }',
  '  like: { sentiment: positive, half_life: 7d }',
  'text: { fields: { title: {} } }',
  'embedding: { dimensions: 2 }',
];
/** Profiles begin at line 7. */
const parse = (...profiles: string[]) =>
  parseSchema([...base, 'profiles:', ...profiles].join('\n'), 'schema.yaml').profiles;

function problems(...profiles: string[]): string[] {
  try {
    parse(...profiles);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.message.split('\n').slice(1);
  }
  return assert.fail('the profiles were accepted');
}

describe('profiles of a schema', () => {
  it('become terms, gates and boosts, with defaults for missing entries', () => {
    const profiles = parse(
      '  plain: { terms: [{ signal: like, window: all }] }',
      '  night_owls:',
      '    terms:',
      '      - { signal: view, velocity: 24h, weight: 0.3 }',
      '      - { signal: like, decayed: true, log: true, weight: -2 }',
      '      - { recency: { half_life: 12h }, weight: 5 }',
      '    gates:',
      '      - { signal: view, window: 24h, min: 2 }',
      '      - { signal: like, window: 1h, min: 1, max: 5.5 }',
      '      - { max_age: 30d }',
      '    boosts:',
      '      - { filter: "category:!news|sport", factor: 1.5 }',
      '      - { filter: "year>=1990", factor: 0.5 }',
    );
    assert.deepEqual(
      [...profiles.values()],
      [
        {
          name: 'plain',
          terms: [{ kind: 'signal', signal: 'like', measure: { of: 'sum', window: 'all' }, log: false, weight: 1 }],
          gates: [],
          boosts: [],
        },
        {
          name: 'night_owls',
          terms: [
            { kind: 'signal', signal: 'view', measure: { of: 'velocity', window: '24h' }, log: false, weight: 0.3 },
            { kind: 'signal', signal: 'like', measure: { of: 'decayed' }, log: true, weight: -2 },
            { kind: 'recency', halfLifeSeconds: 43_200, weight: 5 },
          ],
          gates: [
            { kind: 'signal', signal: 'view', window: '24h', min: 2, max: Number.POSITIVE_INFINITY },
            { kind: 'signal', signal: 'like', window: '1h', min: 1, max: 5.5 },
            { kind: 'age', maxSeconds: 2_592_000 },
          ],
          boosts: [
            {
              text: 'category:!news|sport',
              filter: { field: 'category', operator: 'not_in', values: ['news', 'sport'] },
              factor: 1.5,
            },
            { text: 'year>=1990', filter: { field: 'year', operator: '>=', values: ['1990'] }, factor: 0.5 },
          ],
        },
      ],
    );
  });

  it('a schema without profiles has none', () => {
    assert.equal(parseSchema(base.join('\n'), 'schema.yaml').profiles.size, 0);
  });

  it('all mistakes are reported at once, each with its path and line', () => {
    assert.deepEqual(
      problems(
        '  trending: { terms: [{ signal: like, window: all }] }',
        '  Upper: { terms: [{ signal: like, window: all }] }',
        '  broken:',
        '    terms:',
        '      - { signal: lik, window: all }',
        '      - { signal: view, velocity: 1h }',
        '      - { signal: like, velocity: all }',
        '      - { signal: like }',
        '      - { weight: 2 }',
        '      - { signal: like, window: all, weight: 1e300, factor: 2 }',
        '      - { recency: { half_life: 1y }, log: true }',
        '      - { signal: like, decayed: false }',
        '    gates:',
        '      - { signal: like, window: 1h }',
        '      - { max_age: 5d, min: 1 }',
        '      - { signal: like, window: 1h, min: 2, max: 1 }',
        '    boosts:',
        '      - { filter: "category", factor: 2 }',
        '      - { filter: "category:x", factor: 0 }',
        '  empty: { terms: [] }',
        '  none:',
      ),
      [
        `  profiles.trending (line 7): has the name of a built-in profile; those are ${builtInProfiles.join(', ')}`,
        '  profiles.Upper (line 8): has a name that cannot be used; names of profiles are 1 to 64 lower-case letters, digits and underscores',
        '  profiles.broken.terms[0].signal (line 11): must be one of view, like, not "lik"',
        '  profiles.broken.terms[1].signal (line 12): has no window 1h; view is declared with 24h, all',
        '  profiles.broken.terms[2].velocity (line 13): must be one of 1h, 24h, 7d, not "all"',
        '  profiles.broken.terms[3] (line 14): must say what of the signal counts by one of window, velocity and decayed',
        '  profiles.broken.terms[4] (line 15): must have either signal or recency',
        '  profiles.broken.terms[5].factor (line 16): is not a known key; accepted keys: signal, window, velocity, decayed, recency, log, weight',
        '  profiles.broken.terms[5].weight (line 16): must be a number from -1000000 to 1000000, not 1e+300',
        '  profiles.broken.terms[6].log (line 17): belongs to terms of a signal, not to recency',
        '  profiles.broken.terms[6].recency.half_life (line 17): must be a duration such as 45s, 30m, 24h or 7d, at most 36500d, not "1y"',
        '  profiles.broken.terms[7].decayed (line 18): must be true, or left out',
        '  profiles.broken.gates[0] (line 20): must have signal, window, and min or max or both, or max_age alone',
        '  profiles.broken.gates[1] (line 21): must have max_age alone, or signal, window, and min or max or both',
        '  profiles.broken.gates[2] (line 22): lets nothing pass: min 2 is above max 1',
        `  profiles.broken.boosts[0].filter (line 24): character 9: expected an operator (: = != < <= > >= ~, in [..], exists); ${filterSyntax}`,
        '  profiles.broken.boosts[1].factor (line 25): must be a number from 0.001 to 1000, not 0',
        '  profiles.empty.terms (line 26): must be a list of 1 to 16 elements, not 0 of them',
        '  profiles.none (line 27): must be a mapping with the keys terms, gates, boosts, not nothing',
      ],
    );
  });

  it('a signal that is itself broken is not reported again where a profile uses it', () => {
    const text = [...base, 'profiles: { mine: { terms: [{ signal: view, window: 24h }] } }'].join('\n');
    assert.throws(
      () => parseSchema(text.replace('positive', 'good'), 'schema.yaml'),
      (error: Error) => {
        assert.equal(error.message.split('\n').length, 2, error.message);
        return true;
      },
    );
  });

  it('are limited in number', () => {
    const many = Array.from({ length: 33 }, (_, index) => `  p${index}: { terms: [{ signal: like, window: all }] }`);
    assert.equal(parse(...many.slice(1)).size, 32);
    assert.deepEqual(problems(...many), ['  profiles (line 7): has 33 entries; at most 32 are accepted']);
    const terms = new Array<string>(17).fill('{ signal: like, window: all }');
    assert.deepEqual(problems(`  p: { terms: [${terms.join(', ')}] }`), [
      '  profiles.p.terms (line 7): must be a list of 1 to 16 elements, not 17 of them',
    ]);
  });
});
