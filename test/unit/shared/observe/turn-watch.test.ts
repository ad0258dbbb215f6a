/** What a turn of the event loop was spent on: exactly where work is marked, by the heartbeat elsewhere. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Activity, EventLoop } from '../../../../shared/kernel/turns.ts';
import { createMetrics, type Metrics } from '../../../../shared/observe/metrics.ts';
import { BEAT_MS, TurnWatch } from '../../../../shared/observe/turn-watch.ts';

/** An event loop of which the test runs every turn. */
class ManualLoop implements EventLoop {
  nowMs = 1_000;
  private beat = (): void => {};
  private beatDueMs = Number.POSITIVE_INFINITY;
  private after: (() => void)[] = [];
  collected: (durationMs: number) => void = () => {};

  nextTurn(action: () => void): void {
    this.after.push(action);
  }

  every(periodMs: number, action: () => void) {
    this.beat = action;
    this.beatDueMs = this.nowMs + periodMs;
    return { cancel: () => {} };
  }

  onCollection(listener: (durationMs: number) => void) {
    this.collected = listener;
    return { cancel: () => {} };
  }

  /** One turn: the heartbeat if it is due, what the test does, what was put off to the end. */
  turn(work: () => void = () => {}): void {
    if (this.nowMs >= this.beatDueMs) {
      this.beat();
      this.beatDueMs = this.nowMs + BEAT_MS;
    }
    work();
    for (const action of this.after.splice(0)) action();
  }

  /** Idle turns until the time has come. */
  idle(ms: number): void {
    for (const endMs = this.nowMs + ms; this.nowMs < endMs; ) {
      this.nowMs = Math.min(endMs, Math.max(this.nowMs, this.beatDueMs));
      this.turn();
    }
  }
}

function watched() {
  const loop = new ManualLoop();
  const metrics = createMetrics({ process: 'region', name: 'us-east', nodeMetrics: false });
  const warnings: unknown[] = [];
  const log = {
    ...{ debug() {}, info() {}, error() {} },
    warn: (message: string, fields: unknown) => void warnings.push([message, fields]),
  };
  const watch = new TurnWatch({ clock: { monotonicMs: () => loop.nowMs }, loop, log, metrics });
  const spend = (activity: Activity | undefined, ms: number): void => {
    if (activity !== undefined) watch.mark(activity);
    loop.nowMs += ms;
  };
  return { loop, metrics, warnings, spend };
}

async function series(metrics: Metrics, name: string): Promise<Record<string, number>> {
  const { text } = await metrics.render();
  const found: Record<string, number> = {};
  for (const [, labels, value] of text.matchAll(new RegExp(`^${name}\\{(.*)\\} (\\S+)$`, 'gm'))) {
    if (Number(value) === 0) continue;
    const activity = /activity="(\w+)"/.exec(labels!)![1]!;
    const over = /over_ms="(\d+)"/.exec(labels!)?.[1];
    found[over === undefined ? activity : `${activity} ${over}`] = Number(value);
  }
  return found;
}

const longest = (metrics: Metrics) => series(metrics, 'tidal_longest_turn_seconds');
const counted = (metrics: Metrics) => series(metrics, 'tidal_long_turns_total');

describe('the watch of turns', () => {
  it('a turn is measured whole, and counts once, for what took most of it', async () => {
    const { loop, metrics, warnings, spend } = watched();
    loop.turn(() => {
      spend('write', 40);
      spend('feed', 30);
      spend('apply', 50);
      spend('feed', 30);
    });
    assert.deepEqual(await longest(metrics), { feed: 0.15 });
    assert.deepEqual(await counted(metrics), { 'feed 20': 1, 'feed 100': 1 });
    assert.deepEqual(warnings, [['long turn of the event loop', { activity: 'feed', duration_ms: 150 }]]);
    // The heartbeat was late by what was measured already.
    loop.idle(100);
    assert.deepEqual(await longest(metrics), { feed: 0.15 });
  });

  it('many short works of one turn are one long turn; in turns of their own they are not', async () => {
    const { loop, metrics, spend } = watched();
    loop.turn(() => {
      for (let read = 0; read < 30; read++) spend('feed', 2);
    });
    for (let read = 0; read < 30; read++) loop.turn(() => spend('search', 2));
    assert.deepEqual(await longest(metrics), { feed: 0.06, search: 0.002 });
    assert.deepEqual(await counted(metrics), { 'feed 20': 1 });
  });

  it('what is not marked is other, from the due time of the heartbeat on', async () => {
    const { loop, metrics, spend } = watched();
    loop.idle(15);
    loop.turn(() => spend(undefined, 85));
    loop.turn();
    assert.deepEqual(await longest(metrics), { other: 0.08 });
    assert.deepEqual(await counted(metrics), { 'other 20': 1 });
  });

  it('work before the first mark of a turn is other, and the marked part is not counted twice', async () => {
    const { loop, metrics, spend } = watched();
    loop.idle(20);
    loop.turn(() => {
      spend(undefined, 20 + 45);
      spend('apply', 60);
    });
    loop.turn();
    assert.deepEqual(await longest(metrics), { apply: 0.06, other: 0.045 });
  });

  it('garbage collections count by themselves', async () => {
    const { loop, metrics } = watched();
    loop.collected(3);
    loop.collected(120);
    assert.deepEqual(await longest(metrics), { gc: 0.12 });
    assert.deepEqual(await counted(metrics), { 'gc 20': 1, 'gc 100': 1 });
  });

  it('the longest turn is forgotten after 30 to 60 s, the counters stay; scrapes change nothing', async () => {
    const { loop, metrics, spend } = watched();
    loop.turn(() => spend('checkpoint', 50));
    for (let scrape = 0; scrape < 5; scrape++) {
      loop.idle(5_900);
      assert.deepEqual(await longest(metrics), { checkpoint: 0.05 });
    }
    loop.idle(31_000);
    assert.deepEqual(await longest(metrics), {});
    assert.deepEqual(await counted(metrics), { 'checkpoint 20': 1 });
  });

  it('in a real process work that blocks is measured under its name, and unmarked work as other', () => {
    const script = fileURLToPath(new URL('../../../harness/observe/blocking-process.js', import.meta.url));
    const { stdout, stderr, status } = spawnSync(process.execPath, [script], { encoding: 'utf8', timeout: 30_000 });
    assert.equal(status, 0, stderr);
    const seconds = JSON.parse(stdout) as Record<string, number>;
    // The machine may add to it, never take away: but for what a heartbeat cannot see.
    assert.ok(seconds.checkpoint! >= 0.2, stdout);
    assert.ok(seconds.other! >= 0.15 - BEAT_MS / 1_000 - 0.002, stdout);
    assert.ok(seconds.gc! > 0, stdout);
  });
});
