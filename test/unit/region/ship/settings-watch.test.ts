/** Changed settings of the stream are named by every region and restored by the leader. */
import assert from 'node:assert/strict';
import { CHECK_MS, SettingsWatch } from '../../../../services/region/ship/settings-watch.ts';
import { Fault } from '../../../../shared/errors/errors.ts';
import type { SettingsDifference } from '../../../../shared/stream/stream.ts';
import { ManualClock } from '../../../harness/kernel/manual-clock.ts';
import { CountedMetrics } from '../../../harness/observe/counted-metrics.ts';
import { silentLog } from '../../../harness/observe/silent-log.ts';

function rig() {
  const clock = new ManualClock();
  const state = { leads: false, asked: [] as boolean[], answer: [] as SettingsDifference[] };
  const metrics = new CountedMetrics();
  const stream = {
    connected: true,
    checkSettings: async (mend: boolean) => {
      state.asked.push(mend);
      return state.answer;
    },
  };
  const watch = new SettingsWatch({
    clock,
    log: silentLog,
    stream,
    mends: () => state.leads,
    metrics,
  });
  const changed = (): number => metrics.total('tidal_stream_settings_changed_total');
  return { clock, state, changed, stream, watch };
}

const what = 'max_bytes of TIDAL_WAL is 1000, not 1073741824';

describe('the settings of the stream', () => {
  it('are looked at every ten seconds, and put right by the leader alone', async () => {
    const { clock, state, watch } = rig();
    watch.start();
    await clock.settle();
    state.leads = true;
    await clock.advance(CHECK_MS);
    assert.deepEqual(state.asked, [false, true]);
    await watch.stop();
    assert.equal(clock.pending, 0);
  });

  it('what was changed is named until the next look finds it right, and counted once', async () => {
    const { clock, state, changed, watch } = rig();
    watch.start();
    await clock.settle();
    assert.deepEqual(watch.findings, []);
    state.answer = [{ what, outcome: 'mended' }];
    await clock.advance(CHECK_MS);
    assert.deepEqual(watch.findings, [`${what}; it has just been put right`]);
    state.answer = [];
    await clock.advance(CHECK_MS);
    assert.deepEqual([watch.findings, changed()], [[], 1]);
    await watch.stop();
  });

  it('what the server does not take back is named with its reason for as long as it lasts, and counted once', async () => {
    const { clock, state, changed, watch } = rig();
    state.answer = [{ what, outcome: 'stuck', why: 'sealed' }];
    watch.start();
    await clock.advance(5 * CHECK_MS);
    assert.deepEqual(watch.findings, [`${what}; it cannot be put right: sealed`]);
    assert.equal(changed(), 1);
    await watch.stop();
  });

  it('without a connection, or with a server that does not answer, the last result stays', async () => {
    const { clock, state, stream, watch } = rig();
    state.answer = [{ what, outcome: 'left' }];
    watch.start();
    await clock.settle();
    stream.connected = false;
    await clock.advance(CHECK_MS);
    assert.equal(state.asked.length, 1);
    stream.connected = true;
    stream.checkSettings = async () => {
      throw new Fault('stream_unavailable', 'no answer in time');
    };
    await clock.advance(CHECK_MS);
    assert.deepEqual(watch.findings, [what]);
    await watch.stop();
  });
});
