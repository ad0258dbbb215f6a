/**
 * Power fails at every commit of a checkpoint run, while events, duplicates of keyed writes among them, continue: what the next
 * start builds from shards and tail is what a naive count of the whole log says, and so it stays.
 */
import assert from 'node:assert/strict';
import { type Batch, decodeBatch } from '../../services/region/batch/batch.ts';
import type { Checkpoint } from '../../services/region/checkpoint/checkpoint.ts';
import { createCheckpointer } from '../../services/region/checkpoint/checkpointer.ts';
import { isKeyedSignal } from '../../services/region/state/keys/keys.ts';
import type { Ledger } from '../../services/region/state/ledger/ledger.ts';
import { createLedger } from '../../services/region/state/ledger/signal-ledger.ts';
import type { TableName } from '../../services/region/store/store.ts';
import type { Wal } from '../../services/region/wal/wal.ts';
import { formatPosition } from '../../shared/protocol/position.ts';
import { ManualClock } from '../harness/kernel/manual-clock.ts';
import { seededRandom } from '../harness/kernel/seeded-random.ts';
import { unreadMetrics } from '../harness/observe/counted-metrics.ts';
import { silentLog } from '../harness/observe/silent-log.ts';
import { CoreRegion, testSchema } from '../harness/region/core-region.ts';
import { histories } from '../harness/region/histories.ts';
import { forEachValue } from '../harness/region/state/stored-values.ts';
import { type PlacedSignal, winners } from '../harness/region/winning-copies.ts';
import { MemoryBroker } from '../harness/stream/memory-stream.ts';

const ENTITIES = 40;
const seeds = [1, 2, 3, 4, 5, 6];

function described(ledger: Ledger): unknown {
  const parts: unknown[] = [];
  forEachValue(ledger, (entity, values) => parts.push([entity, ...values]));
  return parts;
}

/** Every event of the log, counted as the rule words it: no shard, no position, no retraction. */
function naive(wal: Wal): unknown {
  const ledger = createLedger({ schema: testSchema });
  const keyed: PlacedSignal[] = [];
  for (const { origin } of wal.origins()) {
    for (const bytes of wal.read(origin, 1, Number.MAX_SAFE_INTEGER)) {
      const { first, epoch, events } = decodeBatch(bytes);
      for (const [index, event] of events.entries()) {
        if (isKeyedSignal(event)) keyed.push({ event, place: { origin, epoch, sequence: first + index } });
        else if (event.kind === 'signal') ledger.add(event.entity, event.signal, event.weight, event.timeMs);
      }
    }
  }
  const won = winners(keyed);
  for (const one of keyed) {
    if (one.event.kind !== 'signal') continue;
    const { entity, signal, weight, timeMs } = one.event;
    if (won.has(one)) ledger.add(entity, signal, weight, timeMs);
    else ledger.note(entity, signal, timeMs);
  }
  return described(ledger);
}

/** A region that receives a batch at every commit of a run, and may lose its power at one of them. */
class Drill {
  readonly clock = new ManualClock();
  readonly fatal: unknown[] = [];
  region: CoreRegion;
  private readonly left: Batch[][];
  private readonly random: ReturnType<typeof seededRandom>;

  constructor(seed: number) {
    const broker = new MemoryBroker({ clock: this.clock });
    this.region = new CoreRegion({ region: 'us-east', clock: this.clock, broker });
    this.left = histories(seed, ENTITIES);
    this.random = seededRandom(seed * 131 + 7);
  }

  next(): Batch | undefined {
    const open = this.left.filter((queue) => queue.length > 0);
    return open[this.random.bytes(1)[0]! % Math.max(1, open.length)]?.shift();
  }

  async take(count: number): Promise<void> {
    for (let index = 0; index < count; index++) {
      const batch = this.next();
      if (batch !== undefined) await this.region.ingest.take([batch]);
    }
  }

  checkpointer(): Checkpoint {
    const { wal, ledger, apply, recovered } = this.region;
    return createCheckpointer({
      metrics: unreadMetrics,
      clock: this.clock,
      log: silentLog,
      wal,
      ledger,
      applied: () => apply.applied,
      checkpointPosition: recovered.checkpointPosition,
      eventsLimit: 1,
      intervalMs: 60_000,
      onFatal: (error) => this.fatal.push(error),
    });
  }

  /** Runs a checkpoint; true if the power failed at its commit number `crashAt`, counted from 1. Returns its commits, too. */
  async pass(crashAt = Number.POSITIVE_INFINITY): Promise<{ crashed: boolean; commits: number }> {
    const { store, ingest } = this.region;
    let commits = 0;
    let crashed = false;
    let over = false;
    store.onPut = (table: TableName) => {
      if (table !== 'shards' && table !== 'marks') return;
      commits++;
      if (commits === crashAt) {
        crashed = true;
        store.holdFlushes();
      } else if (table === 'shards' && commits % 2 === 0) {
        const batch = this.next();
        if (batch !== undefined) void ingest.take([batch]);
      }
    };
    void this.checkpointer()
      .now()
      .then(() => {
        over = true;
      });
    for (let step = 0; !over && !crashed; step++) {
      assert.ok(step < 10_000, 'the pass ends');
      await this.clock.advance(1);
    }
    store.onPut = undefined;
    return { crashed, commits };
  }

  crash(unflushed: 'lost' | 'kept'): void {
    this.region = this.region.crash(unflushed);
  }

  /** The state is the log's, and so is what a restart would make of it. */
  check(what: string): void {
    assert.deepEqual(described(this.region.ledger), naive(this.region.wal), what);
    assert.equal(this.region.applied, formatPosition(this.region.wal.durable), what);
    assert.deepEqual(this.fatal, [], what);
  }
}

describe('crashes during a checkpoint', function () {
  this.timeout(300_000);

  for (const seed of seeds) {
    it(`at every commit of a first and of a second run the state is that of the log (seed ${seed})`, async () => {
      const dry = new Drill(seed);
      await dry.take(5);
      const first = await dry.pass();
      await dry.take(2);
      const second = await dry.pass();
      assert.ok(first.commits > 4 && second.commits > 4, `${first.commits} and ${second.commits} commits`);
      for (const [number, commits] of [first.commits, second.commits].entries()) {
        for (let at = 1; at <= commits; at++) {
          for (const unflushed of ['lost', 'kept'] as const) {
            const what = `seed ${seed}, pass ${number + 1}, commit ${at} ${unflushed}`;
            const drill = new Drill(seed);
            await drill.take(5);
            if (number === 1) {
              await drill.pass();
              await drill.take(2);
            }
            const { crashed } = await drill.pass(at);
            assert.ok(crashed, what);
            drill.crash(unflushed);
            drill.check(what);
            await drill.take(1);
            await drill.pass();
            drill.crash('lost');
            drill.check(`${what}, after the next pass`);
            await drill.take(100);
            drill.check(`${what}, with everything`);
            drill.crash('lost');
            drill.check(`${what}, with everything, again`);
          }
        }
      }
    });
  }
});
