/** The one door for foreign batches: by position, each event once, the position only forward. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type Batch, decodeBatch } from '../../../../services/region/batch/batch.ts';
import { createIngest } from '../../../../services/region/receive/ingest.ts';
import { nextTurn } from '../../../../shared/kernel/system.ts';
import { type Event, HLC_PER_MS } from '../../../../shared/protocol/events.ts';
import { formatPosition, sequenceOf } from '../../../../shared/protocol/position.ts';
import { ManualClock } from '../../../harness/kernel/manual-clock.ts';
import { unreadMetrics } from '../../../harness/observe/counted-metrics.ts';
import { silentLog } from '../../../harness/observe/silent-log.ts';
import { chainOf, startMs, viewChain, viewEvent } from '../../../harness/region/batches.ts';
import { CoreRegion, testSchema } from '../../../harness/region/core-region.ts';
import { MemoryBroker } from '../../../harness/stream/memory-stream.ts';

const a = 'us-east@aaaaaaaaaa';
const b = 'ap-south@bbbbbbbbbb';

function region(): CoreRegion {
  const clock = new ManualClock();
  return new CoreRegion({ region: 'eu-west', clock, broker: new MemoryBroker({ clock }) });
}

/** As they are received: signals without keys by column. */
function columnsOf(batches: readonly Batch[]): readonly Batch[] {
  return batches.map(({ bytes }) => decodeBatch(bytes));
}

function count(one: CoreRegion, entity: number): number {
  return one.ledger.read(entity, 'view', one.clock.nowMs())?.count ?? 0;
}

describe('ingest', () => {
  it('stream and repair offering the same batches at once take each event once', async () => {
    const one = region();
    const batches = viewChain(a, 6);
    const taken = await Promise.all([
      one.ingest.take(batches.slice(0, 3)),
      one.ingest.take(batches),
      one.ingest.take(batches.slice(2)),
      one.ingest.take(batches),
    ]);
    assert.deepEqual(
      taken.map(({ events, gaps }) => [events, gaps.length]),
      [
        [15, 0],
        [15, 0],
        [0, 0],
        [0, 0],
      ],
    );
    assert.equal(count(one, 1), 30);
    assert.equal(one.applied, `${a}:30`);
  });

  it('whatever is offered, repeated or left out, the position only grows, one hole stops one origin, and nothing counts twice', async () => {
    const chains = new Map([a, b].map((origin) => [origin, viewChain(origin, 8, 2)]));
    const offer = fc.record({
      origin: fc.constantFrom(a, b),
      from: fc.integer({ min: 0, max: 7 }),
      length: fc.integer({ min: 1, max: 4 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(offer, { maxLength: 25 }), async (offers) => {
        const one = region();
        let before = new Map<string, number>();
        for (const { origin, from, length } of offers) {
          const batches = chains.get(origin)!.slice(from, from + length);
          const { events, gaps } = await one.ingest.take(batches);
          const held = sequenceOf(before, origin);
          const fits = batches[0]!.first <= held + 1;
          assert.equal(events, fits ? Math.max(0, batches.at(-1)!.last - held) : 0);
          assert.equal(gaps.length, fits ? 0 : batches.length);
          for (const [name, sequence] of before) assert.ok(sequenceOf(one.wal.durable, name) >= sequence);
          before = new Map(one.wal.durable);
        }
        assert.equal(one.applied, formatPosition(before));
        assert.equal(
          count(one, 1),
          [...before.values()].reduce((sum, sequence) => sum + sequence, 0),
        );
        assert.equal(one.stopped.length + one.fatal.length, 0);
        assert.equal(one.crash().durable, one.durable, 'nor does a restart take it back');
      }),
      { numRuns: 150 },
    );
  });

  it('nothing is accepted as soon as a partition begins to be stored: as if it was not received, and it may be received again', async () => {
    const one = region();
    let receives = true;
    const { clock, wal, apply } = one;
    const ingest = createIngest({
      ...{ clock, nextTurn, log: silentLog, metrics: unreadMetrics, wal, apply, schema: testSchema },
      receives: () => receives,
      onStopped: (stopped) => assert.fail(stopped.detail),
    });
    const [first, second, third] = viewChain(a, 3);
    const offset = (sequence: number, last: number) => ({ sequence, origin: a, last, created: 'then' });
    const before = ingest.take([first!], offset(1, 5));
    // Asked for while the first is on its way to the disk; its turn comes when the region receives no more.
    const waiting = ingest.take([second!], offset(2, 10));
    await before;
    receives = false;
    assert.deepEqual(await waiting, { events: 0, gaps: [{ origin: a, first: 6 }], doubted: [] });
    assert.deepEqual(await ingest.take([third!], offset(3, 15)), {
      ...{ events: 0, gaps: [{ origin: a, first: 11 }], doubted: [] },
    });
    await wal.flushNotes();
    assert.deepEqual([one.durable, one.applied, wal.offset?.sequence], [`${a}:5`, `${a}:5`, 1]);
    receives = true;
    assert.deepEqual(await ingest.take([second!, third!], offset(3, 15)), { events: 10, gaps: [], doubted: [] });
    assert.deepEqual([one.durable, wal.offset?.sequence], [`${a}:15`, 3]);
  });

  describe('many batches are appended in several transactions', () => {
    /** Two batches of five signals a transaction, one a turn. */
    function inParts() {
      const one = region();
      const { clock, wal, store } = one;
      const log: string[] = [];
      const apply = {
        ...one.apply,
        room: () => one.apply.room(),
        apply(batches: readonly Batch[]) {
          for (const { last } of batches) log.push(`applied ${last}, durable ${wal.durable.get(a)}`);
          return one.apply.apply(batches);
        },
      };
      const ingest = createIngest({
        ...{ clock, log: silentLog, metrics: unreadMetrics, wal, apply, schema: testSchema },
        limits: { turn: 5, append: 10 },
        nextTurn: (action) => {
          log.push('turn');
          nextTurn(action);
        },
        onStopped: (stopped) => assert.fail(stopped.detail),
      });
      const batches = columnsOf(viewChain(a, 5));
      return {
        ...{ one, clock, wal, store, ingest, batches, log },
        offset: { sequence: 7, origin: a, last: 25, created: 'then' },
      };
    }

    it('each part is applied after its flush, a batch a turn, and the offset is stored with the last', async () => {
      const { one, wal, store, ingest, batches, log, offset } = inParts();
      const { commits } = store;
      assert.deepEqual(await ingest.take(batches, offset), { events: 25, gaps: [], doubted: [] });
      assert.equal(store.commits - commits, 3);
      assert.deepEqual([one.applied, wal.offset?.sequence], [`${a}:25`, 7]);
      const applied = log.filter((line) => line !== 'turn');
      assert.equal(applied.length, 5);
      for (const line of applied) {
        const [, at, durable] = /applied (\d+), durable (\d+)/.exec(line)!;
        assert.ok(Number(at) <= Number(durable), line);
      }
      for (const [index, line] of log.entries())
        if (line !== 'turn') assert.equal(log[index + 1], 'turn', 'one a turn');
    });

    it('a full disk after the first part keeps that one, without the offset, and the others may be offered again', async () => {
      const { one, wal, store, ingest, batches, offset } = inParts();
      store.onPut = (table) => {
        if (table === 'batches' && wal.durable.get(a) === 10) store.failNext('storage_full');
      };
      await assert.rejects(ingest.take(batches, offset), { code: 'storage_full' });
      assert.deepEqual([one.durable, one.applied, wal.offset], [`${a}:10`, `${a}:10`, undefined]);
      store.onPut = undefined;
      store.mend();
      assert.equal((await ingest.take(batches, offset)).events, 15);
      assert.deepEqual([one.applied, wal.offset?.sequence], [`${a}:25`, 7]);
      assert.equal(count(one, 1), 25);
    });

    it('a crash between two parts leaves the first, and an offset before both', async () => {
      const { one, wal, store, ingest, batches, offset } = inParts();
      store.onPut = (table) => {
        if (table === 'batches' && wal.durable.get(a) === 10) store.holdFlushes();
      };
      void ingest.take(batches, offset);
      await one.clock.until('the first part is applied', () => one.applied === `${a}:10`);
      const again = one.crash('lost');
      assert.deepEqual([again.durable, again.wal.offset], [`${a}:10`, undefined]);
    });

    it('of a partition that begins between two parts, the rest counts as not received', async () => {
      const { clock, wal, apply } = region();
      const ingest = createIngest({
        ...{ clock, nextTurn, log: silentLog, metrics: unreadMetrics, wal, apply, schema: testSchema },
        limits: { turn: 5, append: 10 },
        receives: () => (wal.durable.get(a) ?? 0) < 20,
        onStopped: (stopped) => assert.fail(stopped.detail),
      });
      const taken = await ingest.take(columnsOf(viewChain(a, 5)), {
        sequence: 7,
        origin: a,
        last: 25,
        created: 'then',
      });
      assert.deepEqual(taken, { events: 20, gaps: [{ origin: a, first: 21 }], doubted: [] });
      await wal.flushNotes();
      assert.equal(wal.offset, undefined);
    });
  });

  it('an offset is stored with what was appended, noted if all was known, and omitted at a gap', async () => {
    const one = region();
    const batches = viewChain(a, 4);
    const offset = (sequence: number) => ({ sequence, origin: a, last: sequence * 5, created: 'c' });
    await one.ingest.take([batches[0]!], offset(1));
    assert.equal(one.wal.offset?.sequence, 1);
    await one.ingest.take([batches[0]!], offset(2));
    assert.equal(one.wal.offset?.sequence, 1, 'noted');
    await one.ingest.take([batches[2]!], offset(3));
    await one.wal.flushNotes();
    assert.equal(one.wal.offset?.sequence, 2);
    await one.ingest.take([batches[1]!, batches[3]!], offset(4));
    assert.equal(one.durable, `${a}:10`);
    assert.equal(one.wal.offset?.sequence, 2, 'a part was taken, the hole counts');
  });

  it('a doubtful batch of the stream is skipped and stops nothing; a peer is to be asked', async () => {
    const one = region();
    const fork = chainOf({ origin: a }, [[viewEvent(1, 9)], [viewEvent(2)]])[1] as Batch;
    await one.ingest.take(viewChain(a, 1, 1));
    const { doubted, gaps } = await one.ingest.take([fork]);
    assert.deepEqual([doubted.map(({ origin }) => origin), gaps.length, one.refused], [[a], 0, ['not_next']]);
    await one.ingest.take(viewChain(b, 1));
    assert.deepEqual([one.durable, one.stopped.length], [`${b}:5,${a}:1`, 0]);
    assert.deepEqual([one.ingest.refused?.origin, one.ingest.refused?.count], [a, 1]);
  });

  it('a stop is of its origin only, and the next batch that is right ends it', async () => {
    const one = region();
    const right = viewChain(a, 2, 1);
    await one.ingest.take([right[0]!]);
    one.ingest.stop({ origin: a, code: 'damaged_log', detail: 'no peer has the right one' });
    await one.ingest.take(viewChain(b, 1));
    assert.deepEqual([one.durable, one.ingest.stopped.get(a)?.code], [`${b}:5,${a}:1`, 'damaged_log']);
    await one.ingest.take([right[1]!]);
    assert.deepEqual([one.durable, one.ingest.stopped.size], [`${b}:5,${a}:2`, 0]);
  });

  it('a batch that overlaps what is here in part is a damaged log', async () => {
    const one = region();
    await one.ingest.take(viewChain(a, 1, 3));
    const { doubted } = await one.ingest.take([viewChain(a, 2, 2)[1]!]);
    assert.equal(doubted[0]?.code, 'damaged_log');
    assert.match(doubted[0]?.detail ?? '', /us-east@aaaaaaaaaa:3-4 overlaps/);
  });

  it('from any source, nothing is accepted of a region that is not in the topology, nor of an origin that this process extends', async () => {
    const one = region();
    await one.wal.openOrigin('eu-west@ccccccccccccc', 1);
    for (const origin of ['evil@aaaaaaaaaaaaa', 'eu-west@ccccccccccccc']) {
      const { gaps, doubted } = await one.ingest.take(viewChain(origin, 2).slice(1));
      assert.deepEqual([gaps, doubted], [[], []], 'nothing is waited for');
      await one.ingest.take(viewChain(origin, 1));
    }
    assert.deepEqual(one.refused, ['foreign', 'foreign', 'own_origin', 'own_origin']);
    assert.deepEqual([one.durable, one.ingest.stopped.size, one.fatal.length], ['', 0, 0]);
  });

  it('what cannot be true of a clock or an epoch is refused as well, by the rule that was plugged in', async () => {
    const { clock, wal, apply } = region();
    const ingest = createIngest({
      metrics: unreadMetrics,
      ...{ clock, nextTurn, wal, apply, schema: testSchema, log: silentLog, regions: ['us-east'], onStopped() {} },
      implausible: ({ epoch }) => (epoch > 9 ? 'is of a far epoch' : undefined),
    });
    await ingest.take(viewChain(a, 1, 1, 10));
    assert.deepEqual([formatPosition(wal.durable), ingest.refused?.reason], ['', 'implausible']);
    await ingest.take(viewChain(a, 1, 1, 9));
    assert.equal(formatPosition(wal.durable), `${a}:1`);
  });

  it('a signal under a key from a time whose keys are forgotten here is not taken, nor what follows it; anything else is', async () => {
    const day = 86_400_000;
    const keyed = (acceptedMs: number, id = 'k'): Event => ({
      ...{ kind: 'signal', entity: 1, signal: 'view', weight: 1_000, hlc: acceptedMs * HLC_PER_MS, timeMs: acceptedMs },
      key: { id: id.padEnd(22, 'A'), bodyHash: 'AAAAAAAAAAA' },
    });
    const item: Event = { kind: 'item', hlc: startMs * HLC_PER_MS, entity: 1, metadata: {}, key: keyed(startMs).key! };
    for (const [event, taken] of [
      [keyed(startMs), false],
      [keyed(startMs + 8 * day - 1), false],
      [keyed(startMs + 8 * day), true],
      [item, true],
      [viewEvent(1), true],
    ] as const) {
      const one = region();
      await one.ingest.take(chainOf({ origin: b }, [[keyed(startMs)]]));
      assert.equal(count(one, 1), 1);
      await one.wal.forgetKeys({
        from: undefined,
        limit: 9,
        limitBytes: 1e6,
        beforeMs: startMs + day,
        upTo: one.wal.durable,
      });
      const chain = chainOf({ origin: a }, [[event], [viewEvent(2)]]);
      const { events, doubted } = await one.ingest.take(chain);
      assert.equal(events, taken ? 2 : 0, JSON.stringify(event));
      assert.equal(doubted[0]?.code, taken ? undefined : 'keys_forgotten');
      assert.equal((await one.ingest.take(viewChain('ap-south@cccccccccc', 1))).events, 5, 'other origins go on');
      const again = new CoreRegion({ ...one.options, store: one.store.crash() });
      assert.equal((await again.ingest.take(chain)).events, 0, 'the same after a restart');
    }
  });

  it('a key whose duplicate is being appended is not removed meanwhile', async () => {
    const one = region();
    const key = { id: 'k'.padEnd(22, 'A'), bodyHash: 'AAAAAAAAAAA' };
    const event = (n: number): Event => ({ ...viewEvent(n), key }) as Event;
    await one.ingest.take(chainOf({ origin: a }, [[event(1)]]));
    // Decided and enqueued first, committed last: the sweep's commit runs between the check of the copy and its append.
    const taking = one.wal.append({ batches: chainOf({ origin: b }, [[event(2)]]) });
    const forgetting = one.wal.forgetKeys({
      from: undefined,
      limit: 9,
      limitBytes: 1e6,
      beforeMs: startMs + 86_400_000,
      upTo: one.wal.durable,
    });
    await Promise.all([taking, forgetting]);
    assert.equal(one.wal.copies(key.id).length, 2);
  });
});
