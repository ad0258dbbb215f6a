/** Whether a region accepts by its own clock: a strict majority of all clocks it knows must agree with it. */

import assert from 'node:assert/strict';
import { ClockCheck, UNSAFE_MS, WITNESS_KEPT_MS } from '../../../../services/region/clocks/clocks.ts';
import { Fault } from '../../../../shared/errors/errors.ts';
import { formatRouterClock, parseRouterClock, type RouterClock } from '../../../../shared/protocol/internal.ts';
import type { ReportedStatus } from '../../../../shared/region-client/reported-status.ts';
import type { RegionView } from '../../../../shared/region-client/status-poller.ts';
import { StatusPoller } from '../../../../shared/region-client/status-poller.ts';
import { ManualClock } from '../../../harness/kernel/manual-clock.ts';
import { unreadMetrics } from '../../../harness/observe/counted-metrics.ts';
import { noSnapshots } from '../../../harness/region/core-region.ts';

const DAY_MS = 86_400_000;
const names = ['eu-west', 'ap-south', 'sa-east', 'us-west'];

/** A region whose peers were heard just now with clocks off by these; undefined: never heard. */
class Rig {
  readonly clock = new ManualClock();
  readonly views = new Map<string, RegionView>();
  asked = true;
  readonly check = new ClockCheck({ metrics: unreadMetrics, clock: this.clock, region: 'us-east', peers: this });

  constructor(...offsets: readonly number[]) {
    for (const [index, offset] of offsets.entries()) this.hear(names[index]!, offset);
  }

  hear(region: string, offsetMs: number): void {
    const status = { clockMs: this.clock.nowMs() + offsetMs } as ReportedStatus;
    const view = { status, atMs: this.clock.monotonicMs(), clockOffsetMs: offsetMs, reachable: true };
    this.views.set(region, view);
  }

  loses(region: string): void {
    this.views.set(region, { ...this.views.get(region)!, reachable: false });
  }

  router(offsetMs: number, router = 'r1'): this {
    this.check.heard({ router, clockMs: this.clock.nowMs() + offsetMs });
    return this;
  }

  get code(): string | undefined {
    return this.check.writeBlocker?.code;
  }
}

describe('clock check (schedule 21)', () => {
  it('among three regions the wrong clock is found wrong by its own region only', () => {
    for (const off of [300_000, -300_000, UNSAFE_MS + 1, -UNSAFE_MS - 1]) {
      assert.equal(new Rig(off, 0).code, undefined, 'the other two agree');
      assert.equal(new Rig(off, off).code, 'clock_unsafe');
    }
    assert.equal(new Rig(29_000, 30_500).code, undefined);
    assert.equal(new Rig(0, 500_000, 100).code, undefined);
    assert.match(
      String(new Rig(300_000, 300_100).check.writeBlocker?.message),
      /is 300 s off 2 of 2 other clocks: eu-west/,
    );
  });

  it('with one other clock that differs both sides refuse, and the hint says what to do', () => {
    for (const off of [3_600_000, -3_600_000]) {
      const { writeBlocker } = new Rig(off).check;
      assert.equal(writeBlocker?.code, 'clock_unsafe');
      assert.match(String(writeBlocker?.extras.hint), /synchronise.*force/);
    }
    assert.equal(new Rig(UNSAFE_MS).code, undefined);
  });

  it('half of the clocks are no majority', () => {
    assert.equal(new Rig(3_600_000, 3_600_000).router(0).code, 'clock_unsafe');
    assert.equal(new Rig(3_600_000, 3_600_000).router(0).router(5, 'r2').code, undefined);
  });

  it('a router decides between two regions, and judges a single one', () => {
    assert.equal(new Rig(30 * DAY_MS).router(0).code, undefined, 'the right one');
    assert.equal(new Rig(30 * DAY_MS).router(30 * DAY_MS).code, 'clock_unsafe', 'the wrong one');
    assert.equal(new Rig().router(100).code, undefined);
    assert.equal(new Rig().router(-31_000).code, 'clock_unsafe');
    assert.equal(new Rig().code, 'clock_unsafe', 'no witness at all');
  });

  it('a peer that stopped answering stays a witness for ten minutes: the death of the leader leaves the others with a judgement', async () => {
    const rig = new Rig(30 * DAY_MS, 30 * DAY_MS);
    rig.loses('eu-west');
    assert.equal(rig.code, 'clock_unsafe', '30 days behind, and one of the two others is dead');
    await rig.clock.advance(WITNESS_KEPT_MS);
    assert.equal(rig.code, 'clock_unsafe');
    await rig.clock.advance(1);
    rig.router(0);
    assert.equal(rig.code, undefined, 'after that the router alone is one');
  });

  it('a clock that is changed is noticed at once, before the next poll', () => {
    for (const step of [30 * DAY_MS, -UNSAFE_MS - 1_000]) {
      const rig = new Rig(0, 10);
      assert.equal(rig.code, undefined);
      rig.clock.stepWall(step);
      assert.equal(rig.code, 'clock_unsafe');
      rig.clock.stepWall(-step);
      assert.equal(rig.code, undefined);
    }
  });

  it('nothing is accepted after a start before every peer was asked once', async () => {
    const clock = new ManualClock();
    let answer: ((status: ReportedStatus) => void) | undefined;
    const link = (region: string, status: () => Promise<ReportedStatus>) => ({
      region,
      status,
      log: async () => new Uint8Array(),
      ...noSnapshots(region),
    });
    const away = async (): Promise<never> => {
      throw new Fault('no_answer', 'away');
    };
    const peers = new StatusPoller({
      clock,
      pace: 'rounds',
      clients: [
        link('eu-west', away),
        link(
          'ap-south',
          () =>
            new Promise((resolve) => {
              answer = resolve;
            }),
        ),
      ],
    });
    const check = new ClockCheck({ metrics: unreadMetrics, clock, region: 'us-east', peers });
    check.heard({ router: 'r1', clockMs: clock.nowMs() });
    peers.start();
    await clock.settle();
    assert.equal(check.writeBlocker?.code, 'not_ready', 'ap-south is still being asked');
    answer?.({ clockMs: clock.nowMs() } as ReportedStatus);
    await clock.settle();
    assert.equal(check.writeBlocker, undefined);
    await peers.stop();
  });

  it('routers without end are not remembered without end', () => {
    const rig = new Rig();
    for (let n = 0; n < 100; n++) rig.router(90_000, `old-${n}`);
    for (let n = 0; n < 16; n++) rig.router(0, `new-${n}`);
    assert.equal(rig.code, undefined);
  });

  it('the gauge shows the largest distance of a reachable peer', () => {
    const rig = new Rig(-5_000, 1_000, 90_000);
    rig.loses('sa-east');
    assert.equal(rig.check.largestOffsetMs, 5_000);
  });

  it('a router’s clock is sent in a header, and an invalid one is ignored', () => {
    const clock: RouterClock = { router: 'k3j9', clockMs: 1_750_000_000_123 };
    assert.deepEqual(parseRouterClock(formatRouterClock(clock)), clock);
    for (const text of ['', 'k3j9', 'k3j9 ', 'k3j9 -5', 'k3j9 1e9', 'a b 5', `k3j9 ${'9'.repeat(16)}`, 'K3 5']) {
      assert.equal(parseRouterClock(text), undefined, text);
    }
  });
});
