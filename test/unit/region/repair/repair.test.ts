/** Repair: gaps are filled by position, from any region that has the range. */
import assert from 'node:assert/strict';
import { Refusal } from '../../../../shared/errors/errors.ts';
import { ManualClock } from '../../../harness/kernel/manual-clock.ts';
import { bytesOf, viewChain } from '../../../harness/region/batches.ts';
import { CoreRegion } from '../../../harness/region/core-region.ts';
import { MemoryBroker } from '../../../harness/stream/memory-stream.ts';

const x = 'us-east@aaaaaaaaaa';
const names = ['us-east', 'eu-west', 'ap-south'];

interface Rig {
  readonly clock: ManualClock;
  readonly broker: MemoryBroker;
  /** A region of the topology, met by those that were made before it. */
  region(name: string): CoreRegion;
  reaches(region: CoreRegion, position: string): Promise<void>;
}

async function rig(): Promise<Rig> {
  const clock = new ManualClock();
  const broker = new MemoryBroker({ clock });
  const made: CoreRegion[] = [];
  return {
    clock,
    broker,
    region(name) {
      const region = new CoreRegion(
        { region: name, clock, broker },
        names.filter((other) => other !== name),
      );
      for (const other of made) {
        other.meet(region);
        region.meet(other);
      }
      made.push(region);
      return region;
    },
    reaches: (region, position) =>
      clock.until(`${region.region} reaches ${position}`, () => region.applied === position),
  };
}

describe('repair', () => {
  it('the disk of the only shipper dies, the stream is wiped: the rest comes from the peer that has it (schedule 1 i)', async () => {
    const it = await rig();
    const batches = viewChain(x, 20, 50);
    const a = it.region('eu-west');
    const b = it.region('ap-south');
    await a.ingest.take(batches.slice(0, 19));
    await b.ingest.take(batches);
    a.start();
    b.start();
    await it.reaches(a, `${x}:1000`);
    assert.equal(a.digest(), b.digest());
  });

  it('the disk of the only shipper dies, and the stream was trimmed past what one region lacks (schedule 1 i)', async () => {
    const it = await rig();
    const batches = viewChain(x, 20, 50);
    const a = it.region('eu-west');
    const b = it.region('ap-south');
    await a.ingest.take(batches.slice(0, 16));
    await b.ingest.take(batches);
    const sender = it.broker.connect('sender');
    await it.clock.settle();
    await sender.stream.ensure();
    let last = 0;
    for (const batch of batches) {
      const result = await sender.stream.publish(x, bytesOf([batch]), last);
      assert.ok('sequence' in result);
      last = result.sequence;
    }
    await it.broker.purgeStream(19);
    a.start();
    b.start();
    await it.reaches(a, `${x}:1000`);
    assert.ok(a.gaps.length > 0, 'the stream alone would have left a hole');
    assert.equal(a.digest(), b.digest());
  });

  it('one region was down at 500, one partitioned at 800, the stream re-shipped from 800: nothing blocks, all is repaired (schedule 1 ii)', async () => {
    const it = await rig();
    const batches = viewChain(x, 20, 50);
    const other = viewChain('ap-south@bbbbbbbbbb', 3);
    const leader = it.region('us-east');
    const b = it.region('eu-west');
    const c = it.region('ap-south');
    await leader.ingest.take(batches);
    await b.ingest.take(batches.slice(0, 10));
    await c.ingest.take(batches.slice(0, 16));
    await c.setCut(true);
    const sender = it.broker.connect('sender');
    await it.clock.settle();
    await sender.stream.ensure();
    await sender.stream.publish(x, bytesOf(batches.slice(16)), 0);
    await sender.stream.publish('ap-south@bbbbbbbbbb', bytesOf(other), 0);
    leader.down = true;
    b.start();
    await it.reaches(b, `ap-south@bbbbbbbbbb:15,${x}:500`);
    assert.equal(b.gaps.length > 0, true, 'the hole was met and other origins went on');
    leader.down = false;
    c.start();
    await it.reaches(b, `ap-south@bbbbbbbbbb:15,${x}:1000`);
    assert.equal(c.applied, `${x}:800`, 'a partitioned region is left alone');
    await c.setCut(false);
    await it.reaches(c, `ap-south@bbbbbbbbbb:15,${x}:1000`);
    assert.equal(b.digest(), c.digest());
  });

  it('the next answer is fetched while one is flushed, and none of it is taken before', async () => {
    const it = await rig();
    const batches = viewChain(x, 3);
    const a = it.region('eu-west');
    const b = it.region('ap-south');
    await b.ingest.take(batches);
    const asked: number[] = [];
    b.serve = (_origin, from) => {
      asked.push(from);
      const next = batches.find(({ first }) => first === from);
      return next === undefined ? new Uint8Array() : next.bytes;
    };
    a.start();
    b.start();
    await it.clock.until('both are up', () => a.peers.views.get('ap-south')?.reachable === true);
    a.store.holdFlushes();
    await it.clock.until('the next one is asked for', () => asked.length === 2, 10_000);
    await it.clock.advance(1_000);
    assert.deepEqual([asked, a.durable, a.applied], [[1, 6], '', '']);
    a.store.releaseFlushes();
    await it.reaches(a, `${x}:15`);
    assert.deepEqual(asked.slice(0, 4), [1, 6, 11, 16]);
    assert.equal(a.digest(), b.digest());
  });

  it('partitioned it fetches from no peer, and none fetches from it', async () => {
    const it = await rig();
    const batches = viewChain(x, 4);
    const a = it.region('eu-west');
    const b = it.region('ap-south');
    await b.ingest.take(batches);
    await a.setCut(true);
    a.start();
    b.start();
    a.repair.nudge();
    await it.clock.advance(10_000);
    assert.equal(a.durable, '');
    await b.setCut(true);
    await a.setCut(false);
    await it.clock.advance(10_000);
    assert.equal(a.durable, '');
    await b.setCut(false);
    await it.reaches(a, `${x}:20`);
  });

  it('a partition while the peer is answering: its answer is discarded', async () => {
    const it = await rig();
    const a = it.region('eu-west');
    const b = it.region('ap-south');
    await b.ingest.take(viewChain(x, 4));
    a.start();
    b.serve = async (_, from) => {
      await a.setCut(true);
      return Buffer.concat(b.wal.read(x, from, 1));
    };
    await it.clock.until('the cut', () => a.cut, 10_000);
    await it.clock.advance(10_000);
    assert.equal(a.durable, '');
  });

  it('what the stream brings within its time is not fetched as well', async () => {
    const it = await rig();
    const a = it.region('eu-west');
    const b = it.region('ap-south');
    let fetched = 0;
    b.serve = (origin, from) => {
      fetched++;
      return Buffer.concat(b.wal.read(origin, from, 1_000_000));
    };
    a.start();
    b.start();
    const sender = it.broker.connect('sender');
    await it.clock.until('subscribed', () => a.subscriptions === 1 && b.subscriptions === 1);
    const batches = viewChain(x, 10);
    for (const [index, batch] of batches.entries()) {
      await sender.stream.publish(x, batch.bytes, index);
      await it.clock.advance(900);
    }
    assert.equal(a.durable, `${x}:50`);
    assert.equal(fetched, 0);
  });

  it('an origin a peer has without end does not delay the others, and is still followed (schedule 35)', async () => {
    const it = await rig();
    const y = 'us-east@zzzzzzzzzz';
    const batches = viewChain(x, 400);
    const a = it.region('eu-west');
    const b = it.region('ap-south');
    await b.ingest.take(batches.slice(0, 100));
    let taken = 100;
    const order: string[] = [];
    b.serve = async (origin, from) => {
      order.push(origin);
      // The peer accepts faster than it is asked.
      if (origin === x && taken < batches.length) {
        await b.ingest.take(batches.slice(taken, taken + 2));
        taken += 2;
      }
      return b.wal.read(origin, from, 1)[0] ?? Buffer.alloc(0);
    };
    await b.ingest.take(viewChain(y, 8));
    a.start();
    await it.clock.until('both are whole', () => a.durable === `${x}:2000,${y}:40`);
    const [first, last] = [order.indexOf(y), order.lastIndexOf(y)];
    assert.ok(first <= 8 && last <= 24, `${y} was asked for in the places ${first} to ${last}`);
    assert.ok(order.length <= 420, `${order.length} questions for 408 batches`);
  });

  it('what a peer has trimmed is not asked for at every report', async () => {
    const it = await rig();
    const a = it.region('eu-west');
    const b = it.region('ap-south');
    await b.ingest.take(viewChain(x, 2));
    let asked = 0;
    b.serve = async () => {
      asked++;
      throw new Refusal('log_trimmed', 'the test trimmed it');
    };
    a.start();
    await it.clock.advance(25_000);
    assert.equal(asked, 1);
    b.serve = undefined;
    await it.reaches(a, `${x}:10`);
  });

  it('when the peer that holds most serves damage, the next best is asked', async () => {
    const it = await rig();
    const batches = viewChain(x, 4);
    const a = it.region('us-east');
    const best = it.region('eu-west');
    const next = it.region('ap-south');
    await best.ingest.take(batches);
    await next.ingest.take(batches.slice(0, 3));
    best.serve = (_, from) => {
      const bytes = Buffer.concat(best.wal.read(x, from, 1_000_000));
      bytes[60]! ^= 1;
      return bytes;
    };
    a.start();
    await it.reaches(a, `${x}:15`);
    assert.equal(a.stopped.length, 0);
  });

  it('a format this region does not know stops it, from a peer as from the stream (schedule 24)', async () => {
    const it = await rig();
    const a = it.region('us-east');
    const b = it.region('eu-west');
    await b.ingest.take(viewChain(x, 1));
    b.serve = (_, from) => {
      const bytes = Buffer.concat(b.wal.read(x, from, 1_000_000));
      bytes[2] = 9;
      return bytes;
    };
    a.start();
    await it.clock.until('stopped', () => a.stopped.length > 0);
    assert.equal(a.stopped[0]?.code, 'schema_behind');
  });

  it('a peer that has nothing of what it reported, or goes away, is asked again later', async () => {
    const it = await rig();
    const a = it.region('us-east');
    const b = it.region('eu-west');
    await b.ingest.take(viewChain(x, 4));
    let answers = 0;
    b.serve = (origin, from) => {
      if (++answers === 1) return new Uint8Array();
      if (answers === 2) throw new Error('connection reset');
      return Buffer.concat(b.wal.read(origin, from, 1));
    };
    a.start();
    await it.reaches(a, `${x}:20`);
    assert.ok(answers >= 6);
  });

  it('nothing acts on a repaired batch before its flush (schedule 7)', async () => {
    const it = await rig();
    const a = it.region('us-east');
    const b = it.region('eu-west');
    await b.ingest.take(viewChain(x, 2));
    a.start();
    a.store.holdFlushes();
    await it.clock.advance(10_000);
    assert.deepEqual([a.durable, a.applied, a.status().durable], ['', '', '']);
    a.store.releaseFlushes();
    await it.reaches(a, `${x}:10`);
  });

  it('after stop no timer is left', async () => {
    const it = await rig();
    const a = it.region('us-east');
    await it.clock.settle();
    a.peers.start();
    a.repair.start();
    await it.clock.advance(3_500);
    await Promise.all([a.repair.stop(), a.peers.stop()]);
    assert.equal(it.clock.pending, 0);
  });
});

describe('readiness', () => {
  it('with an empty disk a region is not ready before it has what its peers reported (schedule 17)', async () => {
    const it = await rig();
    const b = it.region('eu-west');
    const c = it.region('ap-south');
    await b.ingest.take(viewChain(x, 2));
    c.down = true;
    const a = it.region('us-east');
    assert.equal(a.readiness.ready, false);
    a.store.holdFlushes();
    a.start();
    await it.clock.advance(3_000);
    assert.equal(a.readiness.ready, false);
    a.store.releaseFlushes();
    await it.clock.until('ready', () => a.readiness.ready);
    assert.equal(a.applied, `${x}:10`);
  });

  it('a peer that answers later, while it is still catching up, counts as well', async () => {
    const it = await rig();
    const b = it.region('eu-west');
    const c = it.region('ap-south');
    const batches = viewChain(x, 4);
    await b.ingest.take(batches.slice(0, 2));
    await c.ingest.take(batches);
    c.down = true;
    const a = it.region('us-east');
    a.store.holdFlushes();
    a.start();
    await it.clock.advance(1_500);
    c.down = false;
    await c.setCut(true);
    await it.clock.advance(1_500);
    a.store.releaseFlushes();
    await it.reaches(a, `${x}:10`);
    await it.clock.advance(3_000);
    assert.equal(a.readiness.ready, false, 'the second reported 20');
    await c.setCut(false);
    await it.clock.until('ready', () => a.readiness.ready);
    assert.equal(a.applied, `${x}:20`);
  });

  it('a region with a log is ready at once, a new cluster as soon as one peer answers', async () => {
    const it = await rig();
    const a = it.region('us-east');
    await a.ingest.take(viewChain(x, 1));
    assert.equal(a.crash().readiness.ready, true);
    const b = it.region('eu-west');
    const c = it.region('ap-south');
    a.down = true;
    b.start();
    await it.clock.until('ready', () => b.readiness.ready);
    assert.equal(c.readiness.ready, false, 'it has not asked yet');
  });
});
