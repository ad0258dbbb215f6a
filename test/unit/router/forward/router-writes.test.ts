import assert from 'node:assert/strict';
import type { Submission } from '../../../../services/router/forward/forward.ts';
import { type ProblemCode, Refusal } from '../../../../shared/errors/errors.ts';
import type { WriteAccepted } from '../../../../shared/protocol/internal.ts';
import { type ManualClock, settle } from '../../../harness/kernel/manual-clock.ts';
import { type MemoryCluster, memoryCluster } from '../../../harness/router/memory-cluster.ts';

const view = (entity: number, signal = 'view'): Submission => ({
  writes: [{ k: 's', e: entity, s: signal, w: 1_000 }],
  bytes: 60,
  atomic: false,
  durability: 'local',
  requestId: `r${entity}`,
});

const bulk = (...signals: string[]): Submission => ({
  writes: signals.map((signal, index) => ({ k: 's' as const, e: index, s: signal, w: 1_000 })),
  bytes: 60 * signals.length,
  atomic: true,
  durability: 'local',
  requestId: 'bulk',
  label: (index) => `line ${index + 1}`,
});

const refusedWith = (code: ProblemCode, message?: RegExp) => (error: Error) => {
  assert.ok(error instanceof Refusal, String(error));
  assert.equal(error.code, code, error.message);
  if (message !== undefined) assert.match(error.message, message);
  return true;
};

/** The outcome of each, without an unhandled rejection in between. */
const outcomes = (promises: Promise<WriteAccepted>[]) =>
  Promise.all(
    promises.map((promise) =>
      promise.then(
        () => 'accepted',
        (error: Refusal) => error.code,
      ),
    ),
  );

describe('writes on their way to the leader', () => {
  let cluster: MemoryCluster<ManualClock>;
  const start = async (options = {}): Promise<void> => {
    cluster = memoryCluster(options);
    cluster.router.start();
    await settle();
  };
  beforeEach(() => start());
  afterEach(async () => {
    cluster.router.drain();
    const closed = cluster.router.close();
    await cluster.clock.run(closed);
  });

  /** Makes the leader answer only once the result is called. */
  const stall = (): (() => void) => {
    let open: () => void = () => {};
    cluster.usEast.barrier = new Promise((resolve) => {
      open = resolve;
    });
    return open;
  };

  it('those waiting at the same time are sent together, four requests at a time', async () => {
    const open = stall();
    const all = Array.from({ length: 2_504 }, (_, index) => cluster.router.forwarding.submit(view(index)));
    await settle();
    assert.deepEqual(
      cluster.usEast.requests.map(({ writes }) => writes.length),
      [1, 1, 1, 1],
    );
    open();
    const answers = await Promise.all(all);
    const sizes = cluster.usEast.requests.map(({ writes }) => writes.length);
    assert.deepEqual(sizes, [1, 1, 1, 1, 1_000, 1_000, 500]);
    assert.equal(new Set(answers.map(({ position }) => position)).size, 2_504, 'each has its own answer');
  });

  it('what waits behind requests to an unresponsive leader is sent to its successor at once', async () => {
    const open = stall();
    const stuck = Array.from({ length: 4 }, (_, index) => cluster.router.forwarding.submit(view(index)));
    const waiting = Array.from({ length: 3 }, (_, index) => cluster.router.forwarding.submit(view(10 + index)));
    await settle();
    cluster.router.leadership.adopt({ leader: 'eu-west', epoch: 2, nonce: 'second' });
    assert.deepEqual(await outcomes(waiting), ['accepted', 'accepted', 'accepted']);
    assert.equal(cluster.usEast.requests.length, 4);
    open();
    await Promise.all(stuck);
  });

  it('a group stays below 256 KiB', async () => {
    const open = stall();
    const all = Array.from({ length: 14 }, (_, index) =>
      cluster.router.forwarding.submit({ ...view(index), bytes: 100_000 }),
    );
    await settle();
    open();
    await Promise.all(all);
    assert.deepEqual(
      cluster.usEast.requests.slice(4).map(({ writes }) => writes.length),
      [2, 2, 2, 2, 2],
    );
  });

  it('one bad write fails alone', async () => {
    const open = stall();
    const first = Array.from({ length: 4 }, (_, index) => cluster.router.forwarding.submit(view(index)));
    const grouped = [view(10), view(11, 'unknown'), view(12)].map((each) => cluster.router.forwarding.submit(each));
    await settle();
    open();
    await Promise.all(first);
    assert.deepEqual(await outcomes(grouped), ['accepted', 'unknown_signal', 'accepted']);
    assert.equal(cluster.usEast.requests.at(-1)?.writes.length, 3);
  });

  it('a bulk is all or nothing, travels alone, and its refusal names the line', async () => {
    const bad = cluster.router.forwarding.submit(bulk('view', 'view', 'unknown'));
    await assert.rejects(bad, refusedWith('unknown_signal', /^line 3: /));
    assert.equal(cluster.usEast.taken.length, 0);
    const good = await cluster.router.forwarding.submit(bulk('view', 'like'));
    assert.equal(good.position, 'us-east@aaaaaaaaaa:2');
    assert.ok(cluster.usEast.requests.every(({ atomic }) => atomic));
  });

  it('writes with durability stream travel apart from the others', async () => {
    const open = stall();
    const all = [0, 1, 2, 3, 4, 5].map((index) =>
      cluster.router.forwarding.submit({ ...view(index), durability: index % 2 === 0 ? 'stream' : 'local' }),
    );
    await settle();
    open();
    await Promise.all(all);
    for (const { writes, durability } of cluster.usEast.requests) {
      for (const { e } of writes) assert.equal(durability, e! % 2 === 0 ? 'stream' : undefined);
    }
  });

  it('a handover is waited out without one failed write', async () => {
    cluster.control.put({ leader: 'us-east', epoch: 1, nonce: 'n2', handover: { to: 'eu-west', id: 'h' } });
    const all = outcomes(Array.from({ length: 300 }, (_, index) => cluster.router.forwarding.submit(view(index))));
    await cluster.clock.advance(3_000);
    assert.equal(cluster.usEast.taken.length, 0);
    assert.match((await cluster.metrics.render()).text, /tidal_router_held_writes\{[^}]*\} 300/);
    cluster.control.put({ leader: 'eu-west', epoch: 2, nonce: 'n3' });
    await cluster.clock.advance(60);
    assert.deepEqual(new Set(await all), new Set(['accepted']));
    assert.equal(cluster.euWest.taken.length, 300);
    assert.equal(cluster.usEast.taken.length, 0);
    assert.deepEqual(new Set(cluster.euWest.taken.map(({ e }) => e)).size, 300, 'none twice');
  });

  it('a leader that restarts is waited for: no connection means nothing was taken', async () => {
    cluster.usEast.state = 'not_sent';
    const all = outcomes([1, 2, 3].map((entity) => cluster.router.forwarding.submit(view(entity))));
    await cluster.clock.advance(2_000);
    cluster.usEast.state = 'up';
    await cluster.clock.advance(300);
    assert.deepEqual(await all, ['accepted', 'accepted', 'accepted']);
    assert.equal(cluster.usEast.taken.length, 3);
  });

  it('after ten seconds without a leader that takes writes: 503, nothing taken', async () => {
    cluster.usEast.state = 'not_sent';
    const write = outcomes([cluster.router.forwarding.submit(view(1))]);
    const handing = outcomes([cluster.router.forwarding.submit(bulk('view'))]);
    await cluster.clock.advance(9_900);
    assert.match((await cluster.metrics.render()).text, /tidal_router_waiting_writes\{[^}]*\} 2/);
    await cluster.clock.advance(200);
    assert.deepEqual([...(await write), ...(await handing)], ['no_leader', 'no_leader']);
    assert.equal(cluster.usEast.taken.length, 0);
    assert.match((await cluster.metrics.render()).text, /tidal_router_waiting_bytes\{[^}]*\} 0/);
  });

  it('no more than the limit is held; more is refused at once with the reason', async () => {
    await cluster.clock.run(cluster.router.close());
    await start({ heldWritesLimit: 5 });
    cluster.control.put({ leader: 'us-east', epoch: 1, nonce: 'n2', handover: { to: 'eu-west', id: 'h' } });
    await settle();
    const held = outcomes(Array.from({ length: 9 }, (_, index) => cluster.router.forwarding.submit(view(index))));
    await settle();
    await assert.rejects(cluster.router.forwarding.submit(view(99)), refusedWith('handing_over'));
    cluster.control.put({ leader: 'us-east', epoch: 1, nonce: 'n3' });
    await cluster.clock.advance(100);
    const counts = await held;
    assert.equal(counts.filter((outcome) => outcome === 'accepted').length, 5);
    assert.equal(counts.filter((outcome) => outcome === 'handing_over').length, 4);
    assert.equal(cluster.usEast.taken.length, 5);
  });

  it('what a former leader refuses is within the limit too when its successor takes nothing yet', async () => {
    await cluster.clock.run(cluster.router.close());
    await start({ heldWritesLimit: 2 });
    const submit = (entity: number) => cluster.router.forwarding.submit(view(entity));
    const answer = stall();
    const first = outcomes([1, 2].map(submit));
    await settle();
    cluster.control.put({ leader: 'eu-west', epoch: 2, nonce: 'n2' });
    cluster.euWest.state = 'not_sent';
    await cluster.clock.advance(1_100);
    const second = outcomes([3, 4].map(submit));
    await settle();
    answer();
    await settle();
    assert.match((await cluster.metrics.render()).text, /tidal_router_held_writes\{[^}]*\} 2/);
    cluster.euWest.state = 'up';
    await cluster.clock.advance(3_000);
    const counts = [...(await first), ...(await second)];
    assert.deepEqual(counts.filter((outcome) => outcome === 'accepted').length, 2, String(counts));
    assert.equal(cluster.euWest.taken.length, 2);
  });

  it('after a broken connection the outcome is unknown, and nothing is sent again', async () => {
    cluster.usEast.state = 'no_answer';
    const before = cluster.usEast.requests.length;
    await assert.rejects(cluster.router.forwarding.submit(view(1)), refusedWith('outcome_unknown'));
    cluster.usEast.state = 'up';
    await cluster.clock.advance(15_000);
    assert.equal(cluster.usEast.requests.length, before + 1);
  });

  it('a reply with the wrong number of results is an unknown outcome', async () => {
    cluster.usEast.writes = async () => ({ results: [] });
    await assert.rejects(cluster.router.forwarding.submit(view(1)), refusedWith('outcome_unknown'));
  });

  it('a mistake of the region is an unknown outcome, its other refusals are passed on', async () => {
    cluster.usEast.writes = () => Promise.reject(new Refusal('internal', 'x'));
    await assert.rejects(cluster.router.forwarding.submit(view(1)), refusedWith('outcome_unknown'));
    cluster.usEast.writes = () => Promise.reject(new Refusal('storage_full', 'x'));
    await assert.rejects(cluster.router.forwarding.submit(view(1)), refusedWith('storage_full'));
  });

  it('a router that stops refuses what waits and answers what is in progress', async () => {
    const open = stall();
    const sent = Array.from({ length: 4 }, (_, index) => cluster.router.forwarding.submit(view(index)));
    const waiting = outcomes([cluster.router.forwarding.submit(view(9))]);
    await settle();
    cluster.router.drain();
    assert.deepEqual(await waiting, ['shutting_down']);
    open();
    assert.deepEqual(await outcomes(sent), ['accepted', 'accepted', 'accepted', 'accepted']);
    await assert.rejects(cluster.router.forwarding.submit(view(1)), refusedWith('shutting_down'));
  });
});
