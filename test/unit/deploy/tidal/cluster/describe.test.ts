/** What the operator's commands say of a cluster: which regions may be stopped, what a topology changes, tables. */
import assert from 'node:assert/strict';
import { changesOf } from '../../../../../deploy/tidal/cluster/check.ts';
import { describeList } from '../../../../../deploy/tidal/cluster/reads.ts';
import { describeCluster, mayBeStopped } from '../../../../../deploy/tidal/cluster/status.ts';
import { printable, tableOf } from '../../../../../deploy/tidal/cluster/table.ts';
import type { ClusterStatus, RegionReport } from '../../../../../services/router/cluster/cluster.ts';

function region(name: string, given: Partial<RegionReport> = {}): RegionReport {
  return {
    name,
    applied_events: 10,
    lag_events: 0,
    partitioned: false,
    role: 'follower',
    reachable: true,
    ready: true,
    position: 'us-east@a:10',
    offset: 10,
    lag_seconds: 0,
    ahead_events: 0,
    unshipped_events: 0,
    disk: `disk-of-${name}`,
    version: '0.1.0',
    ...given,
  };
}

const leader = region('us-east', { role: 'leader' });

describe('tidal status', () => {
  it('says which regions may be stopped, and why others may not', () => {
    const ofLeader = 'us-east (it leads: promote another first)';
    const cases: [what: string, followers: RegionReport[], said: string][] = [
      ['all well', [region('eu'), region('ap')], `May be stopped: eu, ap; not ${ofLeader}.`],
      [
        'the only other follower is partitioned',
        [region('eu'), region('ap', { partitioned: true })],
        `May be stopped: ap; not ${ofLeader}, eu (no other follower is ready to lead).`,
      ],
      [
        'events that are nowhere else',
        [region('eu', { unshipped_events: 3 }), region('ap', { unshipped_events: null })],
        `No region may be stopped now; not ${ofLeader}, eu (3 of its events are nowhere else), ap (an unknown number of its events are nowhere else).`,
      ],
      [
        'a region that is away already',
        [region('eu'), region('ap', { reachable: false, ready: false })],
        `No region may be stopped now; not ${ofLeader}, eu (no other follower is ready to lead).`,
      ],
      ['one region', [], `No region may be stopped now; not ${ofLeader}.`],
    ];
    for (const [what, followers, said] of cases) assert.equal(mayBeStopped([leader, ...followers]), said, what);
    const without = [region('us-east', { role: 'leader', reachable: false, ready: false }), region('eu'), region('ap')];
    assert.match(mayBeStopped(without), /^No region may be stopped now; not eu \(no other region leads\), ap/);
  });

  it('shows what is wrong with a region', () => {
    const cluster: ClusterStatus = {
      ...{ leader: 'us-east', relay_log_len: 10, epoch: 3, failover: 'manual', absent_disks: [], version: '0.1.0' },
      stream: { connected: false, offset: 10 },
      regions: [
        leader,
        region('eu', { partitioned: true, heal_at: '2027-01-01T12:30:00.000Z', lag_events: 7, lag_seconds: 1.234 }),
        region('ap', { reachable: false, ready: false, applied_events: null, lag_events: null, lag_seconds: null }),
      ],
    };
    const text = describeCluster(cluster, {
      ...{ status: 'degraded', leader: 'us-east', items: 1, epoch: 3, notes: ['eu is partitioned'] },
      regions: { total: 3, reachable: 2, ready: 2 },
    });
    assert.match(text, /^degraded: us-east leads, epoch 3, failover manual, stream not connected\n/);
    assert.match(text, /^eu +follower +ready, partitioned until 12:30:00 +10 +7 +1\.2 /m);
    assert.match(text, /^ap +follower +unreachable +\? +\? +\? /m);
    assert.match(text, /^! eu is partitioned$/m);
  });
});

describe('tables of a command', () => {
  it('have columns as wide as they need, numbers to the right', () => {
    const rows = [
      { name: 'a', count: 5 },
      { name: 'long', count: 1_000 },
    ];
    const table = tableOf(rows, [
      ['NAME', ({ name }) => name],
      ['N', ({ count }) => count],
    ]);
    assert.deepEqual(table.split('\n').slice(1), ['a        5', 'long  1000']);
  });

  it('let no control character of an item through', () => {
    const item = { entity_id: 1, rank: 1, score: 1, signals: {}, metadata: { title: '\u001b[31m \u009b31m' } };
    const list = { region: 'eu', position: '', lag_events: 0, items: [item], next_cursor: null };
    const shown = printable(describeList(list));
    assert.ok(shown.includes('"\\u001b[31m \\u009b31m"'), shown);
  });
});

describe('tidal check', () => {
  it('says what a new list of regions changes', () => {
    assert.match(changesOf(['a', 'b'], ['b', 'a'])[0]!, /nothing has to be restarted/);
    const [added, removed, order] = changesOf(['a', 'b'], ['b', 'c']);
    assert.equal(added, 'added: c');
    assert.match(removed!, /^removed: a;/);
    assert.match(order!, /new regions first/);
  });
});
