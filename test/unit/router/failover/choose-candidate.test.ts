import assert from 'node:assert/strict';
import { chooseCandidate, disqualified } from '../../../../services/router/failover/choose-candidate.ts';
import { positionOf } from '../../../../shared/protocol/position.ts';
import type { ReportedStatus } from '../../../../shared/region-client/reported-status.ts';
import type { RegionView } from '../../../../shared/region-client/status-poller.ts';

function region(name: string, durable: string, more: Partial<ReportedStatus> = {}, reachable = true): RegionView {
  const position = positionOf(durable);
  const status: ReportedStatus = {
    region: name,
    role: 'follower',
    ready: true,
    partitioned: false,
    durable: position,
    applied: position,
    offset: 0,
    streamConnected: true,
    unshipped: 0,
    items: 0,
    clockMs: 0,
    newestMs: 0,
    schemaHash: '0',
    signals: ['view'],
    ...more,
  };
  return { status, atMs: 0, clockOffsetMs: 0, reachable };
}

const newest = (epoch: number, events: number) => ({ newestEpoch: { epoch, events } });
const chosen = (...asked: RegionView[]) => chooseCandidate(asked, { epoch: 3, signals: ['view'] })?.status.region;
const old = 'us-east@aaaaaaaaaa';
const present = 'us-east@bbbbbbbbbb';

describe('the candidate', () => {
  it('has most of the current epoch, however much of older ones another has', () => {
    const a = region('a', `${old}:900,${present}:5`, newest(3, 5));
    const b = region('b', `${old}:100,${present}:6`, newest(3, 6));
    assert.equal(chosen(a, b), 'b');
    assert.equal(chosen(b, a), 'b');
  });

  it('what is of another epoch counts as the rest: then the largest sum, then the first of the topology', () => {
    const a = region('a', `${old}:7`, newest(2, 7));
    const b = region('b', `${old}:9`, newest(2, 4));
    const c = region('c', `${old}:9`, newest(4, 9));
    assert.equal(chosen(a, b, c), 'b');
    assert.equal(chosen(a, c, b), 'c');
    assert.equal(chosen(a, region('d', '')), 'a');
  });

  it('knows the signals of the leader, if any region does', () => {
    const ahead = region('ahead', `${present}:9`, { ...newest(3, 9), signals: ['like'] });
    const knows = region('knows', `${present}:5`, { ...newest(3, 5), signals: ['like', 'view'] });
    assert.equal(chosen(ahead, knows), 'knows');
    assert.equal(chosen(ahead), 'ahead');
  });

  const bad: [string, RegionView, RegExp][] = [
    ['an unreachable one', region('x', `${present}:99`, {}, false), /does not answer/],
    ['one that is not ready', region('x', `${present}:99`, { ready: false }), /is not ready/],
    ['a cut one', region('x', `${present}:99`, { partitioned: true }), /is partitioned/],
    [
      'a stopped one',
      region('x', `${present}:99`, { stopped: { code: 'schema_behind', detail: 'lacks like' } }),
      /has stopped: lacks like/,
    ],
    [
      'one whose clock is unsafe',
      region('x', `${present}:99`, { writeBlocker: { code: 'clock_unsafe', detail: '40 s off' } }),
      /could not accept: 40 s off/,
    ],
  ];
  for (const [what, candidate, why] of bad) {
    it(`is never ${what}`, () => {
      assert.equal(chosen(candidate, region('b', `${present}:1`)), 'b');
      assert.equal(chosen(candidate), undefined);
      assert.match(disqualified(candidate) ?? '', why);
    });
  }
});
