/** A leader that receives SIGTERM: it waits to be relieved, for as long as there is reason to, and no longer. */
import assert from 'node:assert/strict';
import { StepDown } from '../../../../services/region/leadership/step-down.ts';
import type { Leadership } from '../../../../shared/leadership/leadership.ts';
import { STEP_DOWN_LINGER_MS, STEP_DOWN_NOTICED_MS } from '../../../../shared/protocol/deadlines.ts';
import type { ReportedStatus } from '../../../../shared/region-client/reported-status.ts';
import type { RegionView } from '../../../../shared/region-client/status-poller.ts';
import { ManualClock } from '../../../harness/kernel/manual-clock.ts';
import { silentLog } from '../../../harness/observe/silent-log.ts';

const LIMIT_MS = 6_000;

function rig(statuses: readonly Partial<ReportedStatus>[] = [{}, {}]) {
  const clock = new ManualClock();
  const reachable = { value: true };
  const views = (): ReadonlyMap<string, RegionView> =>
    new Map(
      statuses.map((status, index) => [
        `peer-${index}`,
        {
          status: { ready: true, partitioned: false, ...status } as ReportedStatus,
          atMs: 0,
          clockOffsetMs: 0,
          reachable: reachable.value,
        },
      ]),
    );
  const state = { leader: 'us-east', handover: undefined as Leadership['handover'], connected: true, cut: false };
  const said: unknown[] = [];
  const note = (_: string, fields?: Readonly<Record<string, unknown>>): void =>
    void said.push(fields?.why ?? fields?.to);
  const step = new StepDown({
    clock,
    log: { ...silentLog, warn: note, info: note },
    region: 'us-east',
    role: {
      get leads() {
        return state.leader === 'us-east';
      },
      get leadership(): Leadership {
        return { leader: state.leader, epoch: 1, nonce: 'n', ...(state.handover ? { handover: state.handover } : {}) };
      },
    },
    peers: {
      get views() {
        return views();
      },
      poll: () => Promise.resolve(),
    },
    stream: {
      get connected() {
        return state.connected;
      },
    },
    partitioned: () => state.cut,
  });
  const together = new AbortController();
  let tookMs: number | undefined;
  const begin = (limitMs = LIMIT_MS): void => {
    const startMs = clock.monotonicMs();
    void step.run(limitMs, together.signal).then(() => {
      tookMs = clock.monotonicMs() - startMs;
    });
  };
  return { clock, state, step, together, begin, said, reachable, took: () => tookMs };
}

describe('a leader that receives SIGTERM', () => {
  it('waits until another region leads, and then until every router knows', async () => {
    const { clock, state, step, begin, took, said } = rig();
    begin();
    await clock.advance(900);
    assert.equal(step.draining, true);
    assert.ok(step.writeBlocker === undefined, 'it accepts until it is relieved');
    state.handover = { to: 'eu-west', id: 'h' };
    await clock.advance(300);
    state.leader = 'eu-west';
    const { writeBlocker } = step as { readonly writeBlocker: StepDown['writeBlocker'] };
    assert.equal(writeBlocker?.code, 'shutting_down', 'nobody makes it the leader again');
    await clock.advance(STEP_DOWN_LINGER_MS - 100);
    assert.equal(took(), undefined);
    await clock.advance(200);
    assert.ok(took()! <= 1_250 + STEP_DOWN_LINGER_MS, String(took()));
    assert.deepEqual(said, ['eu-west']);
  });

  const alone: readonly (readonly [
    string,
    Partial<ReportedStatus>[],
    (state: ReturnType<typeof rig>) => void,
    string,
  ])[] = [
    ['it is the only region', [], () => {}, 'no other region can lead'],
    [
      'the others are down',
      [{}, {}],
      ({ reachable }) => {
        reachable.value = false;
      },
      'no other region can lead',
    ],
    [
      'the others are about to stop too',
      [{ draining: true }, { draining: true }],
      () => {},
      'no other region can lead',
    ],
    ['the others are not ready', [{ ready: false }, { partitioned: true }], () => {}, 'no other region can lead'],
    [
      'the others would refuse writes',
      [{ writeBlocker: { code: 'clock_unsafe', detail: '' } }],
      () => {},
      'no other region can lead',
    ],
    [
      'the broker is away',
      [{}],
      ({ state }) => {
        state.connected = false;
      },
      'the broker is away',
    ],
    [
      'a drill has cut it off',
      [{}],
      ({ state }) => {
        state.cut = true;
      },
      'this region is partitioned',
    ],
  ];
  for (const [what, statuses, arrange, why] of alone) {
    it(`continues at once when ${what}`, async () => {
      const it = rig(statuses);
      arrange(it);
      it.begin();
      await it.clock.advance(100);
      assert.equal(it.took(), 0);
      assert.deepEqual(it.said, [why]);
    });
  }

  it('continues when no router has begun', async () => {
    const { clock, begin, took, said } = rig();
    begin();
    await clock.advance(STEP_DOWN_NOTICED_MS - 100);
    assert.equal(took(), undefined);
    await clock.advance(200);
    assert.ok(took() !== undefined);
    assert.deepEqual(said, ['no router has begun to hand over']);
  });

  it('continues after its limit, also in the middle of a handover', async () => {
    const { clock, state, begin, took, said } = rig();
    state.handover = { to: 'eu-west', id: 'h' };
    begin();
    await clock.advance(LIMIT_MS - 100);
    assert.equal(took(), undefined);
    await clock.advance(200);
    assert.ok(took() !== undefined);
    assert.deepEqual(said, [`nobody has taken over within ${LIMIT_MS} ms`]);
  });

  it('does not wait when everything stops together, from the beginning or on the way', async () => {
    const first = rig();
    first.together.abort();
    first.begin();
    await first.clock.advance(0);
    assert.equal(first.took(), 0);
    const second = rig();
    second.begin();
    await second.clock.advance(500);
    second.together.abort();
    await second.clock.advance(0);
    assert.equal(second.took(), 500);
  });

  it('does not wait with a limit of 0, nor as a follower', async () => {
    const zero = rig();
    zero.begin(0);
    await zero.clock.advance(0);
    assert.equal(zero.took(), 0);
    const follower = rig();
    follower.state.leader = 'eu-west';
    follower.begin();
    await follower.clock.advance(0);
    assert.equal(follower.took(), 0);
    assert.equal(follower.step.writeBlocker?.code, 'shutting_down');
  });
});
