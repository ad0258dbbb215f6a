/** Readiness of a region that started from nothing: what it waits for, and what it must not wait for. */
import assert from 'node:assert/strict';
import type { Peers } from '../../../../services/region/peers/peers.ts';
import { createReadiness } from '../../../../services/region/readiness/readiness.ts';
import { type Position, parsePosition, positionOf } from '../../../../shared/protocol/position.ts';
import type { RegionView } from '../../../../shared/region-client/status-poller.ts';
import { unreadMetrics } from '../../../harness/observe/counted-metrics.ts';
import { silentLog } from '../../../harness/observe/silent-log.ts';

const origin = 'us-east@aaaaaaaaaaaaa';

function started() {
  const views = new Map<string, RegionView>();
  let polled = (): void => {};
  const peers: Pick<Peers, 'views' | 'expected' | 'onPolled'> = {
    views,
    expected: 2,
    onPolled: (listener) => {
      polled = listener;
    },
  };
  let applied: Position = new Map();
  const readiness = createReadiness({
    metrics: unreadMetrics,
    log: silentLog,
    peers: peers as Peers,
    startedEmpty: true,
    applied: () => applied,
    onReady: () => {},
  });
  return {
    readiness,
    reports(region: string, durable: string, reachable = true): void {
      const status = { durable: positionOf(durable) } as RegionView['status'];
      views.set(region, { status, reachable, atMs: 0, clockOffsetMs: 0 });
      polled();
    },
    reaches(position: string): void {
      applied = parsePosition(position)!;
      polled();
    },
  };
}

describe('readiness of a region that started empty', () => {
  it('waits for what its peers held when they first answered, not for what they get later', () => {
    const it = started();
    it.reports('eu-west', `${origin}:5`);
    it.reports('eu-west', `${origin}:9`);
    it.reaches(`${origin}:4`);
    assert.equal(it.readiness.ready, false);
    it.reaches(`${origin}:5`);
    assert.equal(it.readiness.ready, true);
  });

  it('does not wait for what a peer held on a former disk: it may be lost', () => {
    const it = started();
    it.reports('eu-west', `${origin}:5`);
    it.reports('eu-west', `${origin}:5`, false);
    it.reports('eu-west', `${origin}:3`);
    it.reaches(`${origin}:2`);
    assert.equal(it.readiness.ready, false);
    it.reaches(`${origin}:3`);
    assert.equal(it.readiness.ready, true);
  });
});
