/** Reads share short slices of turns: the cheapest first, the most expensive refused first. */
import assert from 'node:assert/strict';
import { ReadQueue, Unfinished } from '../../../../services/region/read-queue/read-queue.ts';
import type { Refusal } from '../../../../shared/errors/errors.ts';
import { createMetrics } from '../../../../shared/observe/metrics.ts';

/** A clock that moves by what reads compute, and turns that are run by hand. */
class Turns {
  ms = 0;
  readonly queue: ReadQueue;
  private next: (() => void) | undefined;
  private readonly metrics = createMetrics({ process: 'region', name: 'test' });

  constructor() {
    this.queue = new ReadQueue({
      clock: { nowMs: () => this.ms, monotonicMs: () => this.ms, after: () => ({ cancel() {} }) },
      metrics: this.metrics,
      region: 'us-east',
      sliceMs: 2,
      nextTurn: (action) => {
        assert.equal(this.next, undefined, 'one turn at a time is asked for');
        this.next = action;
      },
    });
  }

  /** A read that computes for so long, half a ms at a time. */
  read(name: string, costMs: number, done: string[]): () => string {
    let leftMs = costMs;
    const step = (over: () => boolean): boolean => {
      do {
        this.ms += 0.5;
        leftMs -= 0.5;
      } while (leftMs > 0 && !over());
      return leftMs <= 0;
    };
    return () => {
      if (leftMs > 0 && !step(this.queue.over)) throw new Unfinished({ step });
      done.push(name);
      return name;
    };
  }

  turn(): void {
    const { next } = this;
    this.next = undefined;
    next?.();
  }

  get idle(): boolean {
    return this.next === undefined;
  }

  render(): Promise<{ text: string }> {
    return this.metrics.render();
  }
}

async function settled(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    (value) => value,
    (error: Refusal) => error.code,
  );
}

describe('the queue of reads', () => {
  it('a read that fits is answered in its turn, and no turn takes more than a slice and a step', async () => {
    const turns = new Turns();
    const done: string[] = [];
    const cheap = turns.queue.run(turns.read('cheap', 1, done));
    assert.deepEqual(done, ['cheap']);
    const wide = turns.queue.run(turns.read('wide', 20, done));
    for (let turn = 0; turn < 30; turn++) {
      const beforeMs = turns.ms;
      turns.turn();
      assert.ok(turns.ms - beforeMs <= 2.5, `${turns.ms - beforeMs} ms`);
    }
    assert.deepEqual(await Promise.all([cheap, wide]), ['cheap', 'wide']);
    assert.ok(turns.idle, 'nothing is scheduled for nobody');
  });

  it('what has computed least goes first: cheap reads pass wide ones', () => {
    const turns = new Turns();
    const done: string[] = [];
    for (let wide = 0; wide < 3; wide++) void turns.queue.run(turns.read(`wide ${wide}`, 40, done));
    // Each has had its first slice.
    for (let turn = 0; turn < 2; turn++) turns.turn();
    void turns.queue.run(turns.read('cheap', 1, done));
    turns.turn();
    assert.deepEqual(done, ['cheap']);
    while (!turns.idle) turns.turn();
    assert.equal(done.length, 4);
  });

  it('one that takes longer than the deadline is refused, and the region says that it is overloaded', async () => {
    const turns = new Turns();
    const endless = settled(turns.queue.run(turns.read('endless', 1e9, [])));
    while (!turns.idle) turns.turn();
    assert.equal(await endless, 'overloaded');
    assert.ok(turns.ms < 5_010, `${turns.ms} ms`);
    assert.match((await turns.render()).text, /tidal_sliced_reads_total\{[^}]*outcome="overloaded"[^}]*\} 1/);
  });

  it('of more than may wait the most expensive is refused first', async () => {
    const turns = new Turns();
    const done: string[] = [];
    const wide = settled(turns.queue.run(turns.read('wide', 100, done)));
    turns.turn();
    const others = Array.from({ length: 256 }, (_, n) => settled(turns.queue.run(turns.read(`read ${n}`, 1, done))));
    assert.equal(await wide, 'overloaded');
    while (!turns.idle) turns.turn();
    assert.equal(new Set(await Promise.all(others)).size, 256);
  });

  it('equal reads under way are computed once; later ones anew', async () => {
    const turns = new Turns();
    let attempts = 0;
    const read = turns.read('feed', 5, []);
    const attempt = (): number => {
      attempts++;
      read();
      return attempts;
    };
    const both = [turns.queue.run(attempt, { key: 'a' }), turns.queue.run(attempt, { key: 'a' })];
    while (!turns.idle) turns.turn();
    const [one, two] = await Promise.all(both);
    assert.equal(one, two);
    const before = attempts;
    await turns.queue.run(attempt, { key: 'a' });
    assert.equal(attempts, before + 1);
  });

  it('a read that is repeated for what was written since stays within its slices', async () => {
    const turns = new Turns();
    let written = 100;
    const answered = turns.queue.run(() => {
      // Some of it in every call, whatever the slice says.
      turns.ms += 1;
      written -= 1;
      if (written > 0) throw new Unfinished({ step: () => true });
      return 'answered';
    });
    assert.ok(turns.ms <= 3, `${turns.ms} ms`);
    while (!turns.idle) {
      const beforeMs = turns.ms;
      turns.turn();
      assert.ok(turns.ms - beforeMs <= 3, `${turns.ms - beforeMs} ms`);
    }
    assert.equal(await answered, 'answered');
  });

  it('a shared read is computed while one of its clients waits, and dropped with the last', async () => {
    const turns = new Turns();
    const waits = [true, true];
    const attempt = turns.read('feed', 100, []);
    const both = [0, 1].map((one) => settled(turns.queue.run(attempt, { key: 'a', isWanted: () => waits[one]! })));
    waits[0] = false;
    turns.turn();
    assert.ok(!turns.idle, 'the other client waits');
    waits[1] = false;
    turns.turn();
    assert.deepEqual(await Promise.all(both), ['invalid_request', 'invalid_request']);
  });

  it('one whose client has gone is dropped, and one that fails rejects', async () => {
    const turns = new Turns();
    let wanted = true;
    const gone = settled(turns.queue.run(turns.read('gone', 50, []), { isWanted: () => wanted }));
    wanted = false;
    turns.turn();
    assert.equal(await gone, 'invalid_request');
    await assert.rejects(
      turns.queue.run(() => {
        throw new Error('broken');
      }),
      /broken/,
    );
  });
});
