/** A drill on a simulated cluster that may lie: what the verdict finds, and that everything is undone however it ends. */
import assert from 'node:assert/strict';
import { parseDrill } from '../../../../deploy/drill/parse-drill.ts';
import type { DrillReport } from '../../../../deploy/drill/report.ts';
import { runDrill } from '../../../../deploy/drill/run-drill.ts';
import { SimulatedSurface } from '../../../harness/drills/simulated-surface.ts';
import { ManualClock } from '../../../harness/kernel/manual-clock.ts';
import { seededRandom } from '../../../harness/kernel/seeded-random.ts';

const head = `title: A drill
why: to see
observe: 2s
recover_within: 10s
limit: 60s
steady: { lag_events: { max: 10 }, error_rate: { max: 0.01 }, write_p99_ms: { max: 100 }, read_p99_ms: { max: 100 }, converged: true }
load: { writers: 2, writes_per_second: 20, readers: 1, reads_per_second: 10 }
abort: { error_rate: { max: 0.5 } }
`;
const partition =
  'steps: [ { partition: follower }, { wait: 5s }, { heal: follower, wait: true }, { verify: true } ]\n';

describe('a drill', () => {
  let clock: ManualClock;
  let surface: SimulatedSurface;
  let ending: AbortController;
  beforeEach(() => {
    clock = new ManualClock();
    surface = new SimulatedSurface(clock);
    ending = new AbortController();
  });

  const started = (text: string, processes = true): Promise<DrillReport> =>
    runDrill({
      drill: parseDrill(text, 'drill.yaml'),
      ...{ surface, clock, random: seededRandom(5), say: () => {}, signal: ending.signal },
      processes: processes ? surface : undefined,
    });
  const run = (text: string, processes = true): Promise<DrillReport> => clock.run(started(text, processes), 600_000);
  const untouched = (): void => assert.deepEqual(surface.calls, []);

  it('holds: every write is counted in every region, and nothing is left of it', async () => {
    const report = await run(head + partition);
    assert.deepEqual([report.result, report.reasons], ['held', []]);
    const { acknowledged, failed, lost, doubled, regions } = report.writes!;
    assert.ok(acknowledged > 100, `${acknowledged} writes`);
    assert.deepEqual([failed, lost, doubled], [0, 0, 0]);
    const none = { lost: 0, doubled: 0 };
    assert.deepEqual(regions, { 'us-east': none, 'eu-west': none, 'ap-south': none });
    assert.deepEqual(surface.calls, ['partition eu-west 118000', 'heal eu-west', 'put items']);
    assert.deepEqual([surface.items.size, surface.lease, clock.pending], [0, undefined, 0]);
    assert.ok(report.outcome.time_to_detect_ms! <= 250, `${report.outcome.time_to_detect_ms}`);
    assert.ok(report.outcome.time_to_converge_ms! <= 250, `${report.outcome.time_to_converge_ms}`);
    assert.ok(report.lag.some(({ lags }) => lags['eu-west']! > 50));
    assert.ok(report.latency.length > 10 && report.events.some(({ text }) => text === 'health: degraded'));
  });

  it('an acknowledged write that one region lacks is found: lost', async () => {
    surface.fate = (n) => (n === 70 ? { copies: (region) => (region === 'ap-south' ? 0 : 1) } : {});
    const { result, reasons, writes } = await run(head + partition);
    assert.deepEqual([result, reasons], ['deviated', ['1 acknowledged writes are lost']]);
    assert.deepEqual([writes!.lost, writes!.doubled], [1, 0]);
    assert.deepEqual(writes!.regions['ap-south'], { lost: 1, doubled: 0 });
    assert.match(writes!.named.join(), /^ap-south: item \d+, weight [\d.]+: lost$/);
  });

  it('a write that counts twice is found: doubled', async () => {
    surface.fate = (n) => (n === 71 ? { copies: (region) => (region === 'eu-west' ? 2 : 1) } : {});
    const { result, writes } = await run(head + partition);
    assert.deepEqual([result, writes!.lost, writes!.doubled], ['deviated', 0, 1]);
    assert.match(writes!.named.join(), /^eu-west: item \d+, weight [\d.]+: counts 2 times$/);
  });

  it('a lost write and a doubled one of the same item do not hide each other', async () => {
    surface.fate = (n) => ({ copies: () => (n === 64 ? 0 : n === 65 ? 2 : 1) });
    const { writes } = await run(head + partition);
    assert.deepEqual([writes!.lost, writes!.doubled], [1, 1]);
  });

  it('a write that was refused and counts is found; one without an answer may count or not', async () => {
    const load = head.replace('reads_per_second: 10', 'reads_per_second: 10, keyed: false');
    surface.fate = (n) => {
      if (n === 70) return { answer: { outcome: 'refused', code: 'overloaded' }, copies: () => 1 };
      if (n === 71) return { answer: { outcome: 'refused', code: 'overloaded' } };
      if (n === 72) return { answer: { outcome: 'unknown', code: 'outcome_unknown' }, copies: () => 1 };
      if (n === 73) return { answer: { outcome: 'unknown', code: 'outcome_unknown' }, copies: () => 0 };
      return {};
    };
    const { result, reasons, writes, failures } = await run(load + partition);
    assert.deepEqual([result, reasons], ['deviated', ['1 writes were refused, and count']]);
    assert.deepEqual([writes!.failed, writes!.failed_but_counted, writes!.refused_but_counted], [4, 2, 1]);
    assert.deepEqual(failures, { overloaded: 2, outcome_unknown: 2 });
  });

  it('under a key a write without an answer is sent again, and acknowledged', async () => {
    surface.fate = (n) => (n === 70 ? { answer: { outcome: 'unknown', code: 'outcome_unknown' } } : {});
    const { result, writes, failures, outcome } = await run(head + partition);
    assert.deepEqual([result, writes!.failed, failures], ['held', 0, { outcome_unknown: 1 }]);
    assert.ok(outcome.worst_write_ms! >= 100);
  });

  it('regions that differ at the end are found', async () => {
    const running = started(head + partition);
    await clock.until('the partition', () => surface.calls.length > 0);
    surface.differ = true;
    const { result, reasons } = await clock.run(running, 600_000);
    assert.equal(result, 'deviated');
    assert.match(reasons.join('\n'), /verify: the regions differ[\s\S]*did not converge within 10 s/);
  });

  it('a step that is not reached, and a bound on the outcome', async () => {
    const { result, reasons } = await run(
      `${head}steps: [ { partition: follower }, { wait: 3s, until: leader-changed }, { heal: follower } ]\nexpect: { worst_write_ms: { max: 1 } }\n`,
    );
    assert.equal(result, 'deviated');
    assert.match(
      reasons.join('\n'),
      /^leader-changed was not reached within 3 s\nworst_write_ms is 5, at most 1 is accepted$/,
    );
  });

  describe('could not run, and nothing was done', () => {
    const cases: readonly (readonly [what: string, change: () => void, text: string, reason: RegExp])[] = [
      [
        'a steady state that does not hold',
        () => {
          surface.writeTakesMs = 150;
        },
        head + partition,
        /does not hold, nothing was done: write_p99_ms is 150, at most 100 is accepted/,
      ],
      [
        'regions that differ',
        () => {
          surface.differ = true;
        },
        head + partition,
        /the regions differ: simulated/,
      ],
      [
        'a region that is partitioned already',
        () => surface.partitioned.add('ap-south'),
        head + partition,
        /partitioned already: ap-south/,
      ],
      [
        'another drill in progress',
        () => {
          surface.lease = 'another';
        },
        head + partition,
        /another drill is in progress/,
      ],
      [
        'manual failover where automatic is needed',
        () => {},
        `${head}needs: { failover: automatic }\n${partition}`,
        /needs automatic failover/,
      ],
      [
        'too few regions',
        () => {},
        `${head}needs: { regions: 4 }\n${partition}`,
        /needs 4 regions, and the cluster has 3/,
      ],
      [
        'an unknown region',
        () => {},
        head + partition.replace('partition: follower', 'partition: mars'),
        /no region "mars"; known: us-east, eu-west, ap-south, leader/,
      ],
      [
        'a signal that the schema lacks',
        () => {
          surface.fate = () => ({ answer: { outcome: 'refused', code: 'unknown_signal' } });
        },
        head.replace('writers: 2', 'keyed: false, writers: 2') + partition,
        /error_rate is 0\.\d+, at most 0.01 is accepted; \d+ requests failed with unknown_signal/,
      ],
    ];
    for (const [what, change, text, reason] of cases) {
      it(what, async () => {
        change();
        const { result, reasons, writes } = await run(text);
        assert.equal(result, 'could_not_run', reasons.join('\n'));
        assert.match(reasons.join('\n'), reason);
        assert.equal(writes, null);
        untouched();
        assert.equal(clock.pending, 0);
      });
    }

    it('processes where there is only the HTTP surface', async () => {
      const { result, reasons } = await run(`${head}steps: [ { kill: leader } ]\n`, false);
      assert.equal(result, 'could_not_run');
      assert.match(reasons.join('\n'), /stops processes: it needs --target local or --target compose/);
      untouched();
    });
  });

  describe('aborted, and everything is undone', () => {
    const faults =
      'steps: [ { partition: follower }, { promote: other-follower, force: true }, { kill: leader }, { wait: 5m } ]\n';
    const cases: readonly (readonly [what: string, make: () => void, reason: RegExp])[] = [
      ['on Ctrl+C', () => ending.abort('interrupted (SIGINT)'), /^interrupted \(SIGINT\)$/],
      [
        'by tidal drill stop',
        () => {
          surface.leaseEnded = true;
        },
        /^the drill was stopped, or its lease has expired$/,
      ],
      ['at the time limit', () => {}, /^the time limit of 60 s was reached$/],
      [
        'by an abort condition',
        () => {
          surface.fate = () => ({ answer: { outcome: 'refused', code: 'overloaded' } });
        },
        /^abort condition: error_rate is 0\.\d+, at most 0.5 is accepted$/,
      ],
    ];
    for (const [what, make, reason] of cases) {
      it(what, async () => {
        // The new leader lives: only what the case does makes writes fail.
        const running = started(head + faults);
        await clock.until('the faults', () => surface.calls.length === 3, 60_000);
        make();
        const { result, reasons, left } = await clock.run(running, 600_000);
        assert.deepEqual([result, left], ['aborted', []]);
        assert.match(reasons[0]!, reason);
        assert.deepEqual([surface.partitioned.size, surface.away.size, surface.leader], [0, 0, 'us-east']);
        assert.deepEqual([surface.lease, clock.pending], [undefined, 0]);
      });
    }

    it('when a step fails, also what may have been done by it', async () => {
      surface.failing.set('promote ap-south by force', 'no');
      const { result, reasons } = await run(head + faults);
      assert.deepEqual([result, reasons[0]], ['aborted', 'step 2, promote other-follower: no']);
      assert.deepEqual([surface.partitioned.size, surface.away.size], [0, 0]);
      assert.ok(surface.calls.includes('heal eu-west'));
    });

    it('what cannot be undone is said', async () => {
      surface.failing.set('heal eu-west', 'no answer');
      surface.failing.set('start ap-south', 'no answer');
      const steps = 'steps: [ { kill: other-follower }, { partition: follower }, { heal: follower } ]\n';
      const { result, left, reasons, events } = await run(head + steps);
      assert.equal(result, 'aborted');
      assert.deepEqual(left, ['ap-south was not started: no answer', 'eu-west was not healed: no answer']);
      assert.ok(left.every((sentence) => reasons.includes(sentence)));
      const undone = events.map(({ text }) => text).filter((text) => text.endsWith('by the end of the drill'));
      assert.deepEqual(undone, [], 'nothing that failed is said to be done');
    });
  });

  describe('the items that are put to count writes are removed', () => {
    const noItems = (report: DrillReport, because: RegExp): void => {
      assert.equal(report.result, 'deviated');
      assert.match(report.reasons.join('\n'), because);
      assert.deepEqual([surface.items.size, report.left], [0, []]);
    };

    it('when the sums cannot be read', async () => {
      surface.failing.set('sums', 'no answer');
      noItems(await run(head + partition), /^the writes could not be counted: no answer$/);
      assert.ok(surface.removals > 0);
    });

    it('when putting them has failed: some may be there', async () => {
      surface.failing.set('put items', 'no answer');
      noItems(await run(head + partition), /^the writes could not be counted: no answer$/);
      assert.ok(surface.removals > 0);
    });

    it('again, as long as some removals fail', async () => {
      surface.isKept = (entity, n) => n < 4 && entity % 2 === 0;
      const report = await run(head + partition);
      assert.deepEqual([report.result, report.left, surface.items.size, surface.removals], ['held', [], 0, 4]);
    });

    it('those that stay are named', async () => {
      let first = 0;
      surface.isKept = (entity) => {
        first ||= entity;
        return entity === first;
      };
      const { result, left, reasons, events } = await run(head + partition);
      assert.deepEqual([result, left], ['deviated', [`items ${first} were not removed: overloaded`]]);
      assert.ok(reasons.includes(left[0]!));
      const [said] = events.filter(({ text }) => text.includes('to count the writes'));
      assert.match(said!.text, new RegExp(`^items ${first} to \\d+ are put`));
    });
  });

  it('regions are compared only when they may agree, and not too often', async () => {
    const running = started(
      `${head}steps: [ { partition: follower }, { wait: 20s, until: converged }, { heal: follower } ]\n`,
    );
    await clock.until('the partition', () => surface.calls.length > 0);
    const before = surface.comparisons;
    await clock.advance(19_000);
    assert.equal(surface.comparisons, before, 'a partitioned region cannot agree');
    await clock.until('the heal', () => surface.calls.length > 1);
    surface.differ = true;
    const healed = surface.comparisons;
    await clock.advance(9_000);
    assert.ok(surface.comparisons - healed >= 4, `${surface.comparisons - healed}`);
    assert.ok(surface.comparisons - healed <= 6, `${surface.comparisons - healed}`);
    await clock.run(running, 600_000);
  });

  it('every fault has a deadline that the cluster keeps', async () => {
    await run(
      `${head}steps: [ { partition: follower }, { kill: other-follower }, { stop-nats: true, for: 7s }, { wait: 2s } ]\n`,
    );
    const deadlines = surface.calls.flatMap((call) => /^(?:partition|kill|stop) \S+ (\d+)$/.exec(call)?.[1] ?? []);
    assert.equal(deadlines.length, 3);
    for (const ms of deadlines) assert.ok(Number(ms) > 0 && Number(ms) <= 120_000, ms);
    assert.equal(deadlines[2], '7000');
  });
});
