/** The files of drills: what is accepted, and mistakes with their lines and the accepted values. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { flattened, REQUEST_LIMIT_MS, shortened } from '../../../../deploy/drill/drill.ts';
import { loadDrill, parseDrill } from '../../../../deploy/drill/parse-drill.ts';
import { breaches } from '../../../../deploy/drill/watch.ts';

const whole = `version: 1
title: A title
why: because
needs: { regions: 3, failover: automatic }
limit: 2m
observe: 3s
recover_within: 40s
steady: { lag_events: { max: 100 }, error_rate: { min: 0, max: 0.5 }, converged: true }
load: { writers: 2, writes_per_second: 10, readers: 1, reads_per_second: 5, signal: like, keyed: false }
steps:
  - partition: follower
    heal_after: 500ms
  - heal: follower
    wait: true
  - promote: eu-west
    force: true
  - wait: 10s
  - wait: 1h
    until: leader-changed
  - verify: true
  - kill: leader
    for: 5s
  - pause: other-follower
  - restart: router
  - start: leader
  - stop-nats: true
    for: 1m
  - wipe-nats: true
  - repeat: { times: 3, steps: [ { partition: follower }, { heal: follower } ] }
abort: { write_p99_ms: { max: 5000 } }
expect: { failed_writes: { max: 0 } }
`;

const least = 'title: t\nwhy: w\nsteady: {}\nload: none\nsteps: [ { verify: true } ]\n';

describe('the file of a drill', () => {
  it('everything that it can state', () => {
    const drill = parseDrill(whole, 'whole.yaml');
    assert.deepEqual(drill, {
      title: 'A title',
      why: 'because',
      regions: 3,
      automaticFailover: true,
      limitMs: 120_000,
      observeMs: 3_000,
      recoverWithinMs: 40_000,
      steady: { bounds: { lag_events: { max: 100 }, error_rate: { min: 0, max: 0.5 } }, converged: true },
      load: { writers: 2, writesPerSecond: 10, readers: 1, readsPerSecond: 5, signal: 'like', keyed: false },
      steps: [
        { do: 'partition', region: 'follower', healAfterMs: 500 },
        { do: 'heal', region: 'follower', wait: true },
        { do: 'promote', region: 'eu-west', force: true },
        { do: 'wait', ms: 10_000 },
        { do: 'wait', ms: 3_600_000, until: 'leader-changed' },
        { do: 'verify' },
        { do: 'kill', process: 'leader', ms: 5_000 },
        { do: 'pause', process: 'other-follower' },
        { do: 'restart', process: 'router' },
        { do: 'start', process: 'leader' },
        { do: 'stop-nats', ms: 60_000 },
        { do: 'wipe-nats' },
        {
          do: 'repeat',
          times: 3,
          steps: [
            { do: 'partition', region: 'follower' },
            { do: 'heal', region: 'follower', wait: false },
          ],
        },
      ],
      abort: { write_p99_ms: { max: 5_000 } },
      expect: { failed_writes: { max: 0 } },
    });
    assert.equal(flattened(drill.steps).length, 18);
    const short = shortened(drill);
    assert.deepEqual([short.observeMs, flattened(short.steps).length], [2_000, 16]);
    assert.deepEqual(short.steps.slice(3, 5), [
      { do: 'wait', ms: 2_000 },
      { do: 'wait', ms: 3_600_000, until: 'leader-changed' },
    ]);
  });

  it('the least that it must state', () => {
    const { load, limitMs, observeMs, recoverWithinMs } = parseDrill(least, 'least.yaml');
    assert.deepEqual([load, limitMs, observeMs, recoverWithinMs], [undefined, 600_000, 5_000, 60_000]);
  });

  const wrong: readonly (readonly [what: string, from: string, to: string, message: RegExp])[] = [
    [
      'an unknown key',
      'limit: 2m',
      'limits: 2m',
      /limits \(line 5\): is not a known key; accepted keys: version, title/,
    ],
    ['a missing key', 'title: A title\n', '', /lacks the key title/],
    [
      'a duration without a unit',
      'limit: 2m',
      'limit: 120',
      /limit \(line 5\): must be a duration such as .*, not 120/,
    ],
    [
      'a duration of days',
      'observe: 3s',
      'observe: 25h',
      /observe \(line 6\): must be a duration .* at most 24h, not "25h"/,
    ],
    [
      'a title with control characters',
      'title: A title',
      'title: "A \\e[2J title"',
      /title \(line 2\): must have no control characters/,
    ],
    [
      'an unknown step',
      'verify: true',
      'check: true',
      /steps\[5\].check \(line 20\): is not a known key; accepted keys: partition, heal/,
    ],
    [
      'two steps in one',
      '- verify: true',
      '- verify: true\n    promote: eu-west',
      /steps\[5\] \(line 20\): must have exactly one of the keys partition/,
    ],
    [
      'an option of another step',
      '- verify: true',
      '- verify: true\n    force: true',
      /steps\[5\].force \(line 21\): does not belong to verify, which takes no more keys/,
    ],
    [
      'an unknown condition',
      'until: leader-changed',
      'until: forever',
      /until \(line 19\): must be one of leader-changed, converged, healthy, not "forever"/,
    ],
    [
      'a region that cannot be one',
      'promote: eu-west',
      'promote: EU',
      /promote \(line 15\): must be a region's name, or leader, follower, other-follower, not "EU"/,
    ],
    [
      'a bound that is a number',
      'lag_events: { max: 100 }',
      'lag_events: 100',
      /steady.lag_events \(line 8\): must be a mapping with the keys min, max, not 100/,
    ],
    ['a bound without a bound', 'lag_events: { max: 100 }', 'lag_events: {}', /must have min, max or both/],
    ['a share above 1', 'max: 0.5', 'max: 50', /error_rate.max \(line 8\): must be a number from 0 to 1, not 50/],
    ['a min above the max', '{ min: 0, max: 0.5 }', '{ min: 0.6, max: 0.5 }', /has a min above its max/],
    [
      'a measure that does not exist',
      'abort: { write_p99_ms',
      'abort: { p99',
      /abort.p99 \(line 30\): is not a known key; accepted keys: lag_events/,
    ],
    ['no step', least.split('\n')[4]!, 'steps: []', /must be a list of 1 to 100 elements, not 0/],
    [
      'a repetition in a repetition',
      '{ partition: follower }, {',
      '{ repeat: { times: 1, steps: [] } }, {',
      /steps\[12\].repeat.steps\[0\].repeat \(line 29\): is not a known key/,
    ],
    ['a step that is false', 'wipe-nats: true', 'wipe-nats: false', /must be true: leave the step out instead/],
    ['readers without a rate', 'reads_per_second: 5, ', '', /load \(line 9\): lacks the key reads_per_second/],
    ['a load that is no mapping', 'load: none', 'load: some', /load \(line 4\): must be one of none, not "some"/],
    [
      'a bound on a load that is none',
      'steady: {}',
      'steady: { error_rate: { max: 0 } }',
      /steady.error_rate \(line 3\): needs a load/,
    ],
    ['an absence that may not be seen', 'for: 5s', 'for: 500ms', /steps\[6\].for \(line 22\): must be at least 1s/],
    [
      'an abort condition that no error rate can meet',
      'abort: { write_p99_ms: { max: 5000 } }',
      'abort: { error_rate: { max: 1 } }',
      /abort.error_rate \(line 30\): can never abort: max must be below 1$/m,
    ],
    [
      'an abort condition that no request can meet',
      'abort: { write_p99_ms: { max: 5000 } }',
      'abort: { read_p99_ms: { max: 25000 } }',
      /abort.read_p99_ms \(line 30\): can never abort: max must be below 25000, after which a request is given up/,
    ],
    [
      'an abort condition below 0',
      'abort: { write_p99_ms: { max: 5000 } }',
      'abort: { lag_events: { min: 0 } }',
      /abort.lag_events \(line 30\): can never abort: no value is below 0/,
    ],
    ['text that is no YAML', 'why: because', 'why: [', /line \d+: /],
  ];
  for (const [what, from, to, message] of wrong) {
    it(`${what} is refused`, () => {
      const text = whole.includes(from) ? whole : least;
      assert.ok(text.includes(from), from);
      assert.throws(() => parseDrill(text.replace(from, to), 'drill.yaml'), { name: 'ConfigError', message });
    });
  }

  it('all mistakes are reported at once', () => {
    const text = whole.replace('limit: 2m', 'limit: never').replace('until: leader-changed', 'until: forever');
    assert.throws(() => parseDrill(text, 'drill.yaml'), /drill\.yaml cannot be used:\n {2}.*until .*\n {2}limit/);
  });

  it('every drill of the library is accepted, and bounded', () => {
    const files = readdirSync('drills');
    assert.ok(files.length >= 5);
    for (const file of files) {
      const drill = loadDrill(`drills/${file}`);
      assert.ok(drill.steady.converged && drill.load !== undefined, `${file}: writes are counted`);
      const worst = { error_rate: 1, write_p99_ms: REQUEST_LIMIT_MS, read_p99_ms: REQUEST_LIMIT_MS };
      const unknown = { lag_events: null, lag_seconds: null };
      const aborts = breaches(drill.abort, { ...worst, ...unknown }, { known: false });
      assert.ok(aborts.length > 0, `${file}: it is aborted when every request fails, or hangs`);
    }
  });
});
