/** When a snapshot is fetched, from whom, and that its transfer survives what happens to either side. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { Batch } from '../../../../services/region/batch/batch.ts';
import { describeSchema } from '../../../../services/region/compatible/compatible.ts';
import { mendedOf } from '../../../../services/region/mended/mended.ts';
import type { PeerLink } from '../../../../services/region/peers/peers.ts';
import { createBootstrap } from '../../../../services/region/snapshot/bootstrap.ts';
import type { ArrivedSnapshot, Bootstrap } from '../../../../services/region/snapshot/snapshot.ts';
import { encodeItem } from '../../../../services/region/wal/documents.ts';
import { openLog } from '../../../../services/region/wal/log.ts';
import { CheckedStore } from '../../../../services/region/wal/row-checksums.ts';
import { ConfigError } from '../../../../shared/errors/config-error.ts';
import { Fault, Refusal } from '../../../../shared/errors/errors.ts';
import { HLC_PER_MS } from '../../../../shared/protocol/events.ts';
import { formatPosition } from '../../../../shared/protocol/position.ts';
import type { SnapshotOffer } from '../../../../shared/region-client/region-client.ts';
import type { ReportedStatus } from '../../../../shared/region-client/reported-status.ts';
import type { RegionView } from '../../../../shared/region-client/status-poller.ts';
import { ManualClock } from '../../../harness/kernel/manual-clock.ts';
import { CountedMetrics } from '../../../harness/observe/counted-metrics.ts';
import { silentLog } from '../../../harness/observe/silent-log.ts';
import { chainOf, startMs, viewChain, viewEvent } from '../../../harness/region/batches.ts';
import { testSchema } from '../../../harness/region/core-region.ts';
import { MemoryStore } from '../../../harness/region/store/memory-store.ts';
import { MemoryStoreHome } from '../../../harness/region/store/memory-store-home.ts';

const x = 'us-east@aaaaaaaaaa';
const y = 'eu-west@bbbbbbbbbb';
const PART_BYTES = 500;

/** A peer that serves one copy of its store in small parts. */
class Peer implements PeerLink {
  readonly region: string;
  readonly wal;
  private readonly store = new MemoryStore();
  private served: Uint8Array | undefined;
  cut = false;
  /** Throws instead of answering, where set. */
  fails: ((call: 'status' | 'snapshot' | 'part', offset: number) => Fault | Refusal | undefined) | undefined;
  damaged = false;
  id = 'aaaa';
  keysForgottenMs: number | undefined;
  readonly offsets: number[] = [];
  asked = 0;

  constructor(region: string) {
    this.region = region;
    this.wal = openLog({ store: this.store });
  }

  /** What it serves: its store as it is now; from then on this very one. */
  get image(): Uint8Array {
    this.served ??= this.store.image();
    return this.served;
  }

  put(table: 'marks' | 'origins', key: string, json: string): Promise<void> {
    return new CheckedStore(this.store).commit((transaction) => transaction.put(table, key, Buffer.from(json)));
  }

  private meet(call: 'status' | 'snapshot' | 'part', offset = 0): void {
    const failure = this.fails?.(call, offset);
    if (failure !== undefined) throw failure;
  }

  async status(): Promise<ReportedStatus> {
    this.meet('status');
    const mended = mendedOf(this.wal.mark('mended'));
    return {
      region: this.region,
      partitioned: this.cut,
      durable: new Map(this.wal.durable),
      ...(mended === undefined ? {} : { mended }),
    } as unknown as ReportedStatus;
  }

  async log(): Promise<Uint8Array> {
    throw new Refusal('log_trimmed', 'not kept');
  }

  async snapshot(): Promise<SnapshotOffer> {
    this.asked++;
    this.meet('snapshot');
    const image = this.served ?? this.store.image();
    const [bytes, sha256] = [image.length, createHash('sha256').update(image).digest('hex')];
    return {
      id: this.id,
      region: this.region,
      bytes,
      sha256,
      position: new Map(this.wal.durable),
      ...(this.keysForgottenMs === undefined ? {} : { keysForgottenMs: this.keysForgottenMs }),
      schemaHash: '0',
    };
  }

  async snapshotPart(id: string, offset: number): Promise<Uint8Array> {
    this.meet('part', offset);
    if (id !== this.id) throw new Refusal('snapshot_gone', `${this.region} does not serve ${id}`);
    this.offsets.push(offset);
    const part = Uint8Array.from((this.served ?? this.store.image()).subarray(offset, offset + PART_BYTES));
    if (this.damaged) part[0]! ^= 1;
    return part;
  }
}

class Rig {
  readonly clock = new ManualClock();
  readonly peers: readonly Peer[];
  home = new MemoryStoreHome();
  readonly views = new Map<string, RegionView>();
  readonly arrived: ArrivedSnapshot[] = [];
  released = 0;
  readonly metrics = new CountedMetrics();
  isReady = false;
  leads = false;
  hindered = false;
  notBeforeMs = 0;
  schemaError: string | undefined;
  wal;
  private polled: (() => void)[] = [];
  private bootstrap: Bootstrap | undefined;

  constructor(...names: readonly string[]) {
    this.peers = names.map((name) => new Peer(name));
    this.wal = openLog({ store: this.home.open() });
  }

  async hold(peer: number, ...chains: readonly (readonly Batch[])[]): Promise<void> {
    for (const batches of chains) await this.peers[peer]!.wal.append({ batches });
  }

  start(startedEmpty = true): Bootstrap {
    const { clock, peers: links } = this;
    this.bootstrap = createBootstrap({
      clock,
      log: silentLog,
      peers: {
        views: this.views,
        asked: true,
        expected: links.length,
        start() {},
        poll: async () => {},
        onPolled: (listener) => this.polled.push(listener),
        stop: async () => {},
      },
      links,
      wal: this.wal,
      openLog: (store) => openLog({ store }),
      incoming: (id, bytes) => this.home.incoming(id, bytes),
      leads: () => this.leads,
      startedEmpty,
      ready: () => this.isReady,
      notBeforeMs: this.notBeforeMs,
      hindered: () => this.hindered,
      requireSchema: () => {
        if (this.schemaError !== undefined) throw new ConfigError(this.schemaError);
      },
      regions: ['us-east', 'eu-west', 'ap-south'],
      schema: describeSchema(testSchema),
      knownEpoch: () => this.wal.credibleEpoch,
      onReleased: () => {
        this.released++;
      },
      onArrived: (arrived) => this.arrived.push(arrived),
      metrics: this.metrics,
    });
    this.bootstrap.start();
    return this.bootstrap;
  }

  /** What `Peers` does every second. */
  async poll(): Promise<void> {
    for (const peer of this.peers) {
      const status = await peer.status().catch(() => undefined);
      const before = this.views.get(peer.region);
      if (status !== undefined) this.views.set(peer.region, { status, atMs: 0, clockOffsetMs: 0, reachable: true });
      else if (before !== undefined) this.views.set(peer.region, { ...before, reachable: false });
    }
    for (const listener of this.polled) listener();
    await this.clock.settle();
  }

  async seconds(count: number): Promise<void> {
    for (let second = 0; second < count; second++) {
      await this.poll();
      await this.clock.advance(1_000);
    }
  }

  /** The process dies and starts again on its disk. */
  async restart(): Promise<Bootstrap> {
    this.home = this.home.crash();
    const stop = this.bootstrap?.stop();
    this.polled = [];
    this.wal = openLog({ store: this.home.open() });
    this.views.clear();
    await this.clock.run(stop ?? Promise.resolve());
    return this.start();
  }

  get position(): string {
    const { incoming } = this.arrived[0]!;
    return formatPosition(openLog({ store: incoming.open() }).durable);
  }
}

describe('bootstrap of an empty region', () => {
  it('fetches from the reachable, uncut peer that holds most; of equals from the first of the topology', async () => {
    const rig = new Rig('a', 'b', 'c', 'd');
    await rig.hold(0, viewChain(x, 2));
    await rig.hold(1, viewChain(x, 5));
    await rig.hold(2, viewChain(x, 5));
    await rig.hold(3, viewChain(x, 9));
    rig.peers[3]!.cut = true;
    const bootstrap = rig.start();
    assert.equal(bootstrap.holdsRepair, true);
    await rig.seconds(3);
    assert.deepEqual(
      rig.arrived.map(({ peer }) => peer),
      ['b'],
    );
    assert.equal(rig.position, `${x}:25`);
    assert.equal(rig.released, 0);
    await bootstrap.stop();
    assert.equal(rig.clock.pending, 0);
  });

  it('in a new cluster nothing is fetched, and repair is free once the region is ready', async () => {
    const rig = new Rig('a');
    const bootstrap = rig.start();
    await rig.poll();
    rig.isReady = true;
    await rig.hold(0, viewChain(x, 2));
    await rig.seconds(5);
    assert.equal(rig.peers[0]!.asked, 0);
    assert.equal(bootstrap.holdsRepair, false);
    await rig.clock.run(bootstrap.stop());
  });

  it('a region whose peer was mended takes the mended state over, whatever another one holds; a leader does not', async () => {
    const rig = new Rig('a', 'b');
    await rig.wal.append({ batches: viewChain(y, 2) });
    await rig.hold(0, viewChain(x, 9), viewChain(y, 1));
    await rig.hold(1, viewChain(x, 2));
    await rig.peers[1]!.wal.storeMark('mended', { count: 1, id: 'one', future: {} });
    rig.leads = true;
    const bootstrap = rig.start(false);
    await rig.seconds(3);
    assert.equal(rig.peers[1]!.asked, 0);
    rig.leads = false;
    await rig.seconds(3);
    assert.deepEqual(
      rig.arrived.map(({ peer }) => peer),
      ['b'],
    );
    await rig.clock.run(bootstrap.stop());
  });

  it('a region that was mended fetches nothing from one that was not', async () => {
    const rig = new Rig('a');
    await rig.wal.storeMark('mended', { count: 1, id: 'one', future: {} });
    await rig.hold(0, viewChain(x, 9));
    const bootstrap = rig.start();
    await rig.seconds(5);
    assert.equal(rig.peers[0]!.asked, 0);
    await rig.clock.run(bootstrap.stop());
  });

  it('a region with a log fetches nothing of itself', async () => {
    const rig = new Rig('a');
    await rig.wal.append({ batches: viewChain(y, 1) });
    await rig.hold(0, viewChain(x, 2));
    const bootstrap = rig.start(false);
    await rig.seconds(5);
    assert.equal(bootstrap.holdsRepair, false);
    assert.equal(rig.peers[0]!.asked, 0);
    await rig.clock.run(bootstrap.stop());
  });

  it('a lost connection: continues where the transfer ended', async () => {
    const rig = new Rig('a');
    await rig.hold(0, viewChain(x, 20));
    const peer = rig.peers[0]!;
    let away = 0;
    peer.fails = (call, offset) =>
      call === 'part' && offset >= 1_500 && away++ < 5 ? new Fault('no_answer', 'injected') : undefined;
    const bootstrap = rig.start();
    await rig.poll();
    await rig.clock.advance(500);
    assert.equal(bootstrap.progress?.bytes, 1_500);
    await rig.seconds(8);
    assert.equal(rig.arrived.length, 1);
    assert.deepEqual(peer.offsets, [...new Set(peer.offsets)], 'no part was fetched twice');
    assert.equal(peer.asked, 1);
    await bootstrap.stop();
  });

  for (const [what, received, installed] of [
    ['all that the copy has: the copy is dropped, and not asked for again', 20, 0],
    ['a part of it: the copy is taken', 19, 1],
  ] as const) {
    it(`while it is fetched the stream brings ${what}`, async () => {
      const rig = new Rig('a');
      const chain = viewChain(x, 20);
      await rig.hold(0, chain);
      const peer = rig.peers[0]!;
      let isAway = true;
      peer.fails = (call, offset) =>
        call === 'part' && offset >= 1_500 && isAway ? new Fault('no_answer', 'injected') : undefined;
      const bootstrap = rig.start();
      await rig.seconds(2);
      assert.equal(bootstrap.progress?.bytes, 1_500);
      await rig.wal.append({ batches: chain.slice(0, received) });
      isAway = false;
      await rig.seconds(5);
      assert.equal(rig.arrived.length, installed);
      assert.equal(rig.released, 1 - installed);
      assert.equal(bootstrap.holdsRepair, installed === 1);
      await rig.seconds(5);
      assert.equal(peer.asked, 1);
      await rig.clock.run(bootstrap.stop());
    });
  }

  it('a state that was mended is taken although the stream has brought everything', async () => {
    const rig = new Rig('a');
    const chain = viewChain(x, 3);
    await rig.hold(0, chain);
    await rig.peers[0]!.wal.storeMark('mended', { count: 1, id: 'one', future: {} });
    await rig.wal.append({ batches: chain });
    const bootstrap = rig.start(false);
    await rig.seconds(3);
    assert.equal(rig.arrived.length, 1);
    await rig.clock.run(bootstrap.stop());
  });

  it('a restart of this side: continues where the transfer ended, of the same copy', async () => {
    const rig = new Rig('a');
    await rig.hold(0, viewChain(x, 20));
    const peer = rig.peers[0]!;
    peer.fails = (call, offset) =>
      call === 'part' && offset >= 2_000 ? new Fault('no_answer', 'injected') : undefined;
    rig.start();
    await rig.seconds(2);
    peer.fails = undefined;
    const again = await rig.restart();
    await rig.seconds(3);
    assert.equal(rig.arrived.length, 1);
    assert.deepEqual(peer.offsets, [...new Set(peer.offsets)], 'no part was fetched twice');
    await again.stop();
  });

  it('a restart of the peer: its copy was deleted, another one is begun', async () => {
    const rig = new Rig('a');
    await rig.hold(0, viewChain(x, 20));
    const peer = rig.peers[0]!;
    peer.fails = (call, offset) => {
      if (call === 'part' && offset >= 1_000 && peer.id === 'aaaa') peer.id = 'bbbb';
      return undefined;
    };
    const bootstrap = rig.start();
    await rig.seconds(4);
    assert.equal(rig.arrived[0]?.info.id, 'bbbb');
    assert.equal(peer.asked, 2);
    await bootstrap.stop();
  });

  it('a peer that is unreachable for ten seconds is replaced by another; one that makes its copy or restarts is waited for', async () => {
    const rig = new Rig('a', 'b');
    await rig.hold(0, viewChain(x, 20));
    await rig.hold(1, viewChain(x, 19));
    rig.peers[0]!.fails = (call, offset) =>
      call === 'part' && offset > 0 ? new Fault('no_answer', 'injected') : undefined;
    let making = 0;
    rig.peers[1]!.fails = (call) =>
      call === 'snapshot' && making++ < 30 ? new Refusal('not_ready', 'injected') : undefined;
    const bootstrap = rig.start();
    await rig.seconds(9);
    assert.equal(rig.peers[1]!.asked, 0);
    await rig.seconds(40);
    assert.deepEqual(
      rig.arrived.map(({ peer }) => peer),
      ['b'],
    );
    await bootstrap.stop();
  });

  it('what did not arrive as it was sent is not taken: neither damaged on the way nor damaged over there', async () => {
    const rig = new Rig('a', 'b', 'c');
    await rig.hold(0, viewChain(x, 20));
    await rig.hold(1, viewChain(x, 19));
    await rig.hold(2, viewChain(x, 18));
    rig.peers[0]!.damaged = true;
    const bytes = Uint8Array.from(viewChain(x, 19)[7]!.bytes);
    bytes[60]! ^= 1;
    const { store } = rig.peers[1]! as unknown as { store: MemoryStore };
    await store.commit((transaction) => transaction.put('batches', [x, 36], bytes));
    const bootstrap = rig.start();
    await rig.seconds(10);
    assert.deepEqual(
      rig.arrived.map(({ peer }) => peer),
      ['c'],
    );
    assert.equal(rig.peers[0]!.asked, 5, 'a bound on beginning anew');
    await bootstrap.stop();
  });

  it('one whose contents break a rule is refused, counted and named; another peer is asked, and that one again ever later', async () => {
    const rig = new Rig('a', 'b');
    await rig.wal.append({ batches: viewChain(y, 1) });
    await rig.hold(0, viewChain(x, 9), viewChain(y, 3));
    const { store } = rig.peers[0]! as unknown as { store: MemoryStore };
    const order = { epoch: 1, hlc: startMs * HLC_PER_MS, origin: x, sequence: 3 };
    const register = { order, metadata: Buffer.from('null'), createdMs: startMs, updatedMs: startMs };
    await new CheckedStore(store).commit((transaction) => transaction.put('items', 7, encodeItem(register)));
    const bootstrap = rig.start(false);
    await rig.poll();
    bootstrap.trimmedAt('a', y);
    const before = rig.home.store.image();
    await rig.seconds(8);
    assert.match(
      bootstrap.obstacle ?? '',
      /a: its snapshot was refused: the item 7 cannot be used: metadata must be a flat/,
    );
    assert.deepEqual(
      [rig.metrics.total('tidal_snapshots_refused_total'), rig.peers[0]!.asked, rig.arrived.length],
      [1, 1, 0],
    );
    await rig.seconds(150);
    assert.equal(
      rig.metrics.total('tidal_snapshots_refused_total'),
      2,
      'a minute later, then two minutes later, and so on',
    );
    assert.deepEqual(rig.home.store.image(), before, 'the own store is as it was');
    await rig.hold(1, viewChain(x, 2), viewChain(y, 3));
    await rig.poll();
    bootstrap.trimmedAt('b', y);
    await rig.seconds(20);
    assert.deepEqual(
      rig.arrived.map(({ peer }) => peer),
      ['b'],
    );
    await rig.clock.run(bootstrap.stop());
  });

  it('bytes that are no store are refused, and so are origins and marks that cannot be decoded', async () => {
    for (const [harm, says] of [
      [(at: Peer) => at.image.fill(0x20), /refused: the bytes are no image/],
      [(at: Peer) => at.put('marks', 'checkpoint', '{'), /refused: an origin or a mark of it cannot be decoded/],
      [(at: Peer) => at.put('origins', x, '{}'), /refused: an origin or a mark of it cannot be decoded/],
      [(at: Peer) => at.put('marks', 'mending', '{"upToMs":1}'), /refused: the mark mending cannot be used/],
    ] as const) {
      const rig = new Rig('a');
      await rig.wal.append({ batches: viewChain(y, 1) });
      await rig.hold(0, viewChain(x, 2), viewChain(y, 3));
      await harm(rig.peers[0]!);
      const bootstrap = rig.start(false);
      await rig.poll();
      bootstrap.trimmedAt('a', y);
      await rig.seconds(8);
      assert.match(bootstrap.obstacle ?? '', says);
      assert.equal(rig.metrics.total('tidal_snapshots_refused_total'), 1);
      await rig.clock.run(bootstrap.stop());
    }
  });

  it('no peer can serve one: repair continues by the logs', async () => {
    const rig = new Rig('a', 'b');
    await rig.hold(0, viewChain(x, 2));
    await rig.hold(1, viewChain(x, 2));
    for (const peer of rig.peers)
      peer.fails = (call) => (call === 'snapshot' ? new Refusal('region_unreachable', 'injected') : undefined);
    const bootstrap = rig.start();
    await rig.seconds(2);
    assert.equal(bootstrap.holdsRepair, false);
    assert.equal(rig.released, 1);
    assert.equal(rig.arrived.length, 0);
    await rig.seconds(30);
    assert.equal(rig.peers[0]!.asked, 1);
    await rig.clock.run(bootstrap.stop());
  });

  it('after one that could not be installed the logs are used first, and another one is fetched later', async () => {
    const rig = new Rig('a');
    await rig.hold(0, viewChain(x, 2));
    rig.notBeforeMs = rig.clock.monotonicMs() + 60_000;
    const bootstrap = rig.start();
    await rig.seconds(58);
    assert.equal(bootstrap.holdsRepair, false);
    assert.equal(rig.peers[0]!.asked, 0);
    await rig.seconds(5);
    assert.equal(rig.arrived.length, 1);
    await bootstrap.stop();
  });

  it('no free space here: the part is dropped, repair continues by the logs', async () => {
    const rig = new Rig('a');
    await rig.hold(0, viewChain(x, 20));
    rig.home.incomingFull = true;
    const bootstrap = rig.start();
    await rig.seconds(2);
    assert.equal(bootstrap.holdsRepair, false);
    assert.equal(rig.arrived.length, 0);
    assert.equal(rig.peers[0]!.offsets.length, 1);
    await rig.clock.run(bootstrap.stop());
  });

  it('no free space here for all of it: nothing is fetched', async () => {
    const rig = new Rig('a');
    await rig.hold(0, viewChain(x, 20));
    rig.home.roomBytes = 1_000;
    const bootstrap = rig.start();
    await rig.seconds(2);
    assert.equal(bootstrap.holdsRepair, false);
    assert.equal(rig.peers[0]!.offsets.length, 0);
    await rig.clock.run(bootstrap.stop());
  });

  it('a partition stops the transfer, the heal lets it continue where it was', async () => {
    const rig = new Rig('a');
    await rig.hold(0, viewChain(x, 20));
    const peer = rig.peers[0]!;
    peer.fails = (call, offset) => {
      if (call === 'part' && offset === 1_000 && peer.asked === 1) rig.hindered = true;
      return undefined;
    };
    const bootstrap = rig.start();
    await rig.seconds(5);
    assert.equal(rig.arrived.length, 0);
    assert.equal(bootstrap.holdsRepair, true);
    rig.hindered = false;
    await rig.seconds(3);
    assert.equal(rig.arrived.length, 1);
    await bootstrap.stop();
  });

  it('a schema that lacks what the copy was made under stops this region, and drops the copy', async () => {
    const rig = new Rig('a');
    await rig.hold(0, viewChain(x, 3));
    rig.schemaError = 'signals.view: is missing';
    const bootstrap = rig.start();
    await rig.seconds(5);
    assert.equal(bootstrap.schemaBehind, 'signals.view: is missing');
    assert.equal(bootstrap.holdsRepair, false, 'the logs bring what they can');
    assert.equal(rig.arrived.length, 0);
    assert.equal(rig.peers[0]!.asked, 1);
    await rig.clock.run(bootstrap.stop());
  });
});

describe('bootstrap past a trimmed log', () => {
  it('when every reachable peer that holds more has trimmed what comes next, and the stream does not bring it', async () => {
    const rig = new Rig('a', 'b', 'c');
    await rig.wal.append({ batches: viewChain(x, 2) });
    await rig.hold(0, viewChain(x, 8));
    await rig.hold(1, viewChain(x, 9));
    await rig.hold(2, viewChain(x, 2));
    const bootstrap = rig.start(false);
    await rig.poll();
    bootstrap.trimmedAt('a', x);
    await rig.seconds(8);
    assert.equal(rig.arrived.length, 0, 'b may still keep it');
    bootstrap.trimmedAt('b', x);
    await rig.seconds(2);
    assert.deepEqual(
      rig.arrived.map(({ peer }) => peer),
      ['b'],
    );
    assert.equal(bootstrap.holdsRepair, false);
    await bootstrap.stop();
  });

  it('not when the stream brings it after all', async () => {
    const rig = new Rig('a');
    const chain = viewChain(x, 8);
    await rig.wal.append({ batches: chain.slice(0, 2) });
    await rig.hold(0, chain);
    const bootstrap = rig.start(false);
    await rig.poll();
    bootstrap.trimmedAt('a', x);
    await rig.seconds(2);
    await rig.wal.append({ batches: chain.slice(2, 4) });
    await rig.seconds(10);
    assert.equal(rig.peers[0]!.asked, 0);
    await rig.clock.run(bootstrap.stop());
  });

  it('a peer whose copy does not reach what was trimmed here cannot serve; another one is asked, then all again', async () => {
    const rig = new Rig('a', 'b');
    const xs = viewChain(x, 8);
    const ys = viewChain(y, 6);
    await rig.wal.append({ batches: [...xs, ...ys.slice(0, 1)] });
    await rig.wal.trim(x, 30, 2 ** 30);
    await rig.hold(0, xs.slice(0, 2), ys);
    await rig.hold(1, xs.slice(0, 3), ys);
    const bootstrap = rig.start(false);
    await rig.poll();
    for (const peer of ['a', 'b']) bootstrap.trimmedAt(peer, y);
    await rig.seconds(8);
    assert.deepEqual(
      rig.peers.map(({ asked, offsets }) => [asked, offsets.length]),
      [
        [1, 0],
        [1, 0],
      ],
      'seen from the position it names, before anything is fetched',
    );
    assert.equal(rig.arrived.length, 0);
    await rig.hold(0, xs.slice(2));
    await rig.seconds(14);
    assert.deepEqual(
      rig.arrived.map(({ peer }) => peer),
      ['a'],
    );
    await rig.clock.run(bootstrap.stop());
  });

  it('a copy whose keys are forgotten of a time that the tail here is from is not fetched, and that is named until it is over', async () => {
    const rig = new Rig('eu-west');
    const hlc = startMs * HLC_PER_MS;
    const key = { id: 'k'.padEnd(22, 'A'), bodyHash: 'AAAAAAAAAAA' };
    await rig.hold(0, viewChain(y, 3));
    await rig.wal.append({ batches: viewChain(y, 1) });
    await rig.wal.append({ batches: chainOf({ origin: x }, [[{ ...viewEvent(0), hlc, key }]]) });
    rig.peers[0]!.keysForgottenMs = startMs;
    const bootstrap = rig.start(false);
    await rig.poll();
    bootstrap.trimmedAt('eu-west', y);
    await rig.clock.advance(6_000);
    await rig.poll();
    await rig.clock.advance(1_000);
    assert.deepEqual(rig.peers[0]!.offsets, [], 'nothing was transferred');
    assert.match(
      bootstrap.obstacle ?? '',
      /eu-west: us-east@aaaaaaaaaa, beyond it .* holds a signal under an idempotency key/,
    );
    await rig.wal.append({ batches: viewChain(y, 3).slice(1) });
    await rig.poll();
    assert.equal(bootstrap.obstacle, undefined, 'the log brought it after all');
    await rig.clock.run(bootstrap.stop());
  });
});
