/**
 * Three regions' write paths on one clock and one stream, through random faults: power cuts, cuts by drills, forced
 * promotions, a stream that is wiped, trimmed, paused or put back from an older copy, lost and late acknowledgements, old,
 * lost and full disks, clocks that step, consumers that fall silent. Afterwards everything heals, and the invariants are looked at.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { decodeBatch } from '../../shared/protocol/batch.ts';
import type { EventBody } from '../../shared/protocol/events.ts';
import { isRefused } from '../../shared/protocol/internal.ts';
import { regionOf, sequenceOf } from '../../shared/protocol/position.ts';
import { CoreRegion, item, view } from '../harness/core-region.ts';
import { ManualClock } from '../harness/manual-clock.ts';
import type { MemoryClient } from '../harness/memory-client.ts';
import type { MemoryStore } from '../harness/memory-store.ts';
import { type BrokerCopy, MemoryBroker } from '../harness/memory-stream.ts';

const names = ['us-east', 'eu-west', 'ap-south'] as const;

/** Keyed views have entities of their own. */
const KEYED_FROM = 1_000_000;

const which = fc.integer({ min: 0, max: 2 });
const step = fc.oneof(
  { weight: 10, arbitrary: fc.record({ do: fc.constant('write' as const), count: fc.integer({ min: 1, max: 6 }) }) },
  // Clients that ask again, whoever leads now: five keys are in use at a time.
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constant('keyed' as const), back: fc.integer({ min: 0, max: 4 }), which }),
  },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 4_000 }) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('crash' as const),
      which,
      unflushed: fc.constantFrom('lost' as const, 'kept' as const),
      holding: fc.boolean(),
    }),
  },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('start' as const), which }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('cut' as const, 'heal' as const), which }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('promote' as const), which }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('backup' as const), which }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constantFrom(
        'old disk' as const,
        'lost disk' as const,
        'full disk' as const,
        'stall' as const,
        'wire cut' as const,
        'wire back' as const,
      ),
      which,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('clock' as const), ms: fc.integer({ min: -9_000, max: 9_000 }) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('publish fault' as const),
      which,
      fault: fc.constantFrom('lost_ack' as const, 'late' as const, 'dropped' as const),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constantFrom(
        'late lands' as const,
        'wipe' as const,
        'kill' as const,
        'restart' as const,
        'pause' as const,
        'resume' as const,
        'trim' as const,
        'copy' as const,
        'older copy' as const,
        'delete stream' as const,
      ),
    }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

class Cluster {
  readonly clock = new ManualClock();
  readonly broker = new MemoryBroker({ clock: this.clock });
  readonly router: MemoryClient = this.broker.connect('router');
  readonly regions: CoreRegion[] = [];
  /** Every region there ever was: none may have met a broken invariant. */
  readonly all: CoreRegion[] = [];
  /** origin:sequence → entity, as acknowledged. */
  readonly acknowledged = new Map<string, number>();
  private readonly backups: (MemoryStore | undefined)[] = [undefined, undefined, undefined];
  private copy: BrokerCopy | undefined;
  private epoch = 0;
  private entity = 0;
  private keys = 0;
  /** Entities of keyed views: told to somebody, or perhaps taken. */
  readonly keyedTold = new Set<number>();
  readonly keyedSent = new Set<number>();
  replays = 0;
  /** A disk was lost: what only it had is gone. */
  lossy = false;

  async begin(): Promise<void> {
    await this.clock.settle();
    for (const index of [0, 1, 2]) this.run(index, this.make(index));
    await this.promote(0);
    await this.clock.advance(2_000);
  }

  private make(index: number, store?: MemoryStore): CoreRegion {
    const { clock, broker } = this;
    const region = names[index]!;
    const others = names.filter((name) => name !== region);
    return new CoreRegion({ region, clock, broker, ...(store === undefined ? {} : { store }) }, others);
  }

  private run(index: number, region: CoreRegion): void {
    this.regions[index] = region;
    this.all.push(region);
    for (const [other, met] of this.regions.entries()) {
      if (other === index || met === undefined) continue;
      met.meet(region);
      region.meet(met);
    }
    region.start();
  }

  async take(action: Step): Promise<void> {
    const { clock, broker } = this;
    switch (action.do) {
      case 'write':
        this.write(action.count);
        return clock.settle();
      case 'keyed':
        this.writeKeyed(action.back, action.which);
        return clock.settle();
      case 'wait':
        return clock.advance(action.ms);
      case 'crash': {
        const region = this.regions[action.which]!;
        if (region.down) return;
        if (action.holding) {
          region.store.holdFlushes();
          this.write(2);
          await clock.settle();
        }
        this.regions[action.which] = region.crash(action.unflushed);
        this.regions[action.which]!.down = true;
        return clock.settle();
      }
      case 'start':
        return this.start(action.which);
      case 'cut':
      case 'heal':
        if (!this.regions[action.which]!.down)
          void this.regions[action.which]!.setCut(action.do === 'cut').catch(() => undefined);
        return clock.settle();
      case 'promote':
        return this.promote(action.which);
      case 'backup':
        this.backups[action.which] = this.regions[action.which]!.store.backup();
        return;
      case 'old disk': {
        const backup = this.backups[action.which];
        if (backup === undefined) return;
        this.lossy = true;
        this.regions[action.which]!.crash();
        this.regions[action.which] = this.make(action.which, backup.backup());
        this.regions[action.which]!.down = true;
        return;
      }
      case 'lost disk':
        this.lossy = true;
        this.regions[action.which]!.crash();
        this.regions[action.which] = this.make(action.which);
        this.regions[action.which]!.down = true;
        return;
      case 'full disk':
        this.regions[action.which]!.store.failNext('storage_full');
        return;
      case 'stall':
        return this.regions[action.which]!.client.stallAttachments();
      case 'wire cut':
        return this.regions[action.which]!.client.disconnect();
      case 'wire back':
        return this.regions[action.which]!.client.reconnect();
      case 'clock':
        return clock.stepWall(action.ms);
      case 'publish fault':
        this.regions[action.which]!.client.publishFaults.push(action.fault);
        return;
      case 'late lands':
        return broker.landLate();
      case 'wipe':
        return broker.restart({ wiped: true });
      case 'kill':
        return broker.kill();
      case 'restart':
        return broker.restart();
      case 'pause':
        return broker.pause();
      case 'resume':
        return broker.resume();
      case 'trim':
        return broker.purgeStream((broker.stream?.last ?? 0) - 1);
      case 'copy':
        this.copy = broker.copy();
        return;
      case 'older copy':
        return this.copy === undefined ? undefined : broker.restart({ from: this.copy });
      case 'delete stream':
        return broker.deleteStream();
    }
  }

  private async start(index: number): Promise<void> {
    const region = this.regions[index]!;
    if (!region.down) return;
    // The process that begins now, on the disk that the one before left.
    const fresh = this.make(index, region.store.backup());
    await this.clock.settle();
    this.run(index, fresh);
    await this.clock.settle();
  }

  private async promote(index: number): Promise<void> {
    const record = { leader: names[index]!, epoch: ++this.epoch, nonce: `n${this.epoch}` };
    try {
      const entry = await this.answered(this.router.control.read());
      if (entry === 'missing') await this.answered(this.router.control.create(record));
      else if (entry !== undefined) await this.answered(this.router.control.update(record, entry.revision));
    } catch {
      // The key is away: nobody is promoted, and the epoch is never used.
    }
  }

  /** The answer, or undefined when the broker is paused and there will be none without time passing. */
  private async answered<T>(promise: Promise<T>): Promise<T | undefined> {
    let answer: T | undefined;
    let failed: unknown;
    promise.then(
      (value) => {
        answer = value;
      },
      (error) => {
        failed = error;
      },
    );
    await this.clock.settle();
    if (failed !== undefined) throw failed;
    return answer;
  }

  private write(count: number): void {
    const leader = this.regions.find(
      (region) => !region.down && 'epoch' in region.role.gate(this.highestEpoch(region)),
    );
    if (leader === undefined) return;
    const bodies: EventBody[] = Array.from({ length: count }, () => {
      this.entity++;
      return this.entity % 3 === 0 ? item(this.entity, `item ${this.entity}`) : view(this.entity);
    });
    leader.write(bodies).then(
      (reply) => {
        for (const [index, result] of reply.results.entries()) {
          if (isRefused(result)) continue;
          assert.equal(this.acknowledged.has(result.position), false, `${result.position} was acknowledged twice`);
          this.acknowledged.set(result.position, bodies[index]!.entity);
        }
      },
      () => undefined,
    );
  }

  /** The same body under the same key, to whichever region takes it: both sides of a split brain may. */
  private writeKeyed(back: number, which: number): void {
    if (back === 0) this.keys++;
    const number = Math.max(1, this.keys - back);
    const entity = KEYED_FROM + number;
    const rotated = [0, 1, 2].map((step) => this.regions[(which + step) % 3]!);
    const leader = rotated.find((region) => !region.down && 'epoch' in region.role.gate(this.highestEpoch(region)));
    if (leader === undefined) return;
    this.keyedSent.add(entity);
    const key = { id: Buffer.alloc(16, number).toString('base64url'), bodyHash: 'AAAAAAAAAAA' };
    leader.write([{ ...view(entity), key }]).then(
      ({ results: [result] }) => {
        if (result === undefined || isRefused(result)) return;
        this.keyedTold.add(entity);
        if (result.replayed === true) this.replays++;
      },
      () => undefined,
    );
  }

  private highestEpoch(region: CoreRegion): number {
    return region.role.leadership?.epoch ?? 0;
  }

  /** Ends every fault and waits until nothing moves any more. */
  async heal(): Promise<void> {
    const { clock, broker } = this;
    broker.landLate();
    if (!broker.up) await broker.restart();
    broker.resume();
    for (const index of [0, 1, 2]) {
      await this.start(index);
      const region = this.regions[index]!;
      region.store.releaseFlushes();
      region.store.mend();
      region.client.reconnect();
      void region.setCut(false).catch(() => region.setCut(false));
    }
    await clock.advance(5_000);
    await this.promote(1);
    await clock.until('all regions are at one position', () => this.converged(), 120_000);
    // And nothing that is still under way changes that.
    await clock.advance(10_000);
  }

  private converged(): boolean {
    const [first, ...others] = this.regions;
    return (
      others.every(({ applied }) => applied === first!.applied) &&
      this.regions.every(({ ship }) => ship.unshipped === 0)
    );
  }

  /** Requests that two regions took, neither knowing of the other. */
  copies(): number {
    const [{ wal }] = this.regions as [CoreRegion];
    const numbers = [...this.keyedSent].map((entity) => entity - KEYED_FROM);
    return numbers.filter((number) => wal.copies(Buffer.alloc(16, number).toString('base64url')).length > 1).length;
  }

  check(): void {
    const faults = this.all.flatMap(({ fatal, stopped }) => [...fatal, ...stopped]).map(String);
    assert.deepEqual(faults, [], 'no process met a broken invariant, none stopped');
    const [first, ...others] = this.regions as [CoreRegion, ...CoreRegion[]];
    for (const other of others) {
      assert.equal(other.durable, first.durable);
      assert.equal(other.digest(), first.digest(), 'converged regions are bit-identical');
    }
    const leaders = new Map<number, string>();
    for (const { origin, epoch, last } of first.wal.origins()) {
      if (last === 0) continue;
      const region = regionOf(origin);
      assert.equal(leaders.get(epoch) ?? region, region, `epoch ${epoch} has one leader`);
      leaders.set(epoch, region);
      let next = 1;
      for (const bytes of first.wal.read(origin, 1, 1e9)) {
        const batch = decodeBatch(bytes);
        assert.equal(batch.first, next, 'sequences have no gaps');
        next = batch.last + 1;
        for (const [index, event] of batch.events.entries()) {
          const acknowledged = this.acknowledged.get(`${origin}:${batch.first + index}`);
          assert.ok(acknowledged === undefined || acknowledged === event.entity, 'one sequence names one event');
        }
      }
      assert.equal(next, last + 1);
    }
    const nowMs = this.clock.nowMs();
    for (const entity of this.keyedSent) {
      const count = first.ledger.read(entity, 'view', nowMs)?.count ?? 0;
      assert.ok(count <= 1, `the keyed view of ${entity} counts ${count} times`);
      if (!this.lossy && this.keyedTold.has(entity)) assert.equal(count, 1, `the keyed view of ${entity} is gone`);
    }
    if (this.lossy) return;
    for (const position of this.acknowledged.keys()) {
      const [origin, sequence] = position.split(':') as [string, string];
      assert.ok(sequenceOf(first.wal.durable, origin) >= Number(sequence), `acknowledged and gone: ${position}`);
    }
  }
}

describe('three regions', () => {
  it('after any faults, healed: bit-identical, gapless, nothing acknowledged is lost, one leader an epoch', async function () {
    this.timeout(120_000);
    let replays = 0;
    let copies = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 40, maxLength: 160, size: 'max' }), async (steps) => {
        const cluster = new Cluster();
        await cluster.begin();
        for (const one of steps) await cluster.take(one);
        await cluster.heal();
        cluster.check();
        replays += cluster.replays;
        copies += cluster.copies();
        assert.ok(cluster.all.length >= 3);
      }),
      { numRuns: 100, endOnFailure: false, interruptAfterTimeLimit: 60_000 },
    );
    assert.ok(replays > 0 && copies > 0, `${replays} replays, ${copies} requests with several copies in the log`);
  });
});
