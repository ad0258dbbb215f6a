/** `tidal drill stop`: it asks until every region is reached, and says which one never was. */
import assert from 'node:assert/strict';
import { conclude, stopped } from '../../../../../deploy/tidal/drill/stop.ts';
import { type cluster, TidalUnanswered } from '../../../../../shared/client/client.ts';
import { ManualClock } from '../../../../harness/kernel/manual-clock.ts';

describe('tidal drill stop', () => {
  const answer = (healed: string[], notReached: string[], title?: string): cluster.StopDrillAnswer => ({
    ended: title === undefined ? null : { id: 'aaaaaaaa', title },
    healed,
    not_reached: notReached,
  });

  it('a region that starts late is healed too; every attempt starts what is away', async () => {
    const clock = new ManualClock();
    let starts = 0;
    const answers = [answer(['us-east'], ['eu-west'], 'A drill'), answer([], ['eu-west']), answer(['eu-west'], [])];
    const found = await clock.run(
      stopped({
        client: { stopDrill: async () => answers.shift()! },
        processes: { startAll: async () => void starts++ },
        clock,
      }),
    );
    assert.deepEqual(found, answer(['us-east', 'eu-west'], [], 'A drill'));
    assert.deepEqual([answers.length, starts], [0, 3]);
  });

  it('a router that was stopped is asked again where processes are started; otherwise its absence is said at once', async () => {
    const clock = new ManualClock();
    const away = new TidalUnanswered('no answer', { url: 'http://127.0.0.1:1', attempts: 1, notSent: true });
    const answers = [away, away, answer([], [])];
    const client = {
      stopDrill: async () => {
        const next = answers.shift()!;
        if (next instanceof Error) throw next;
        return next;
      },
    };
    await clock.run(stopped({ client, processes: { startAll: async () => {} }, clock }));
    assert.equal(answers.length, 0);
    answers.push(away, answer([], []));
    await assert.rejects(clock.run(stopped({ client, processes: undefined, clock })), away);
    assert.equal(answers.length, 1);
  });

  it('it gives up after a minute', async () => {
    const clock = new ManualClock();
    const client = { stopDrill: async () => answer([], ['eu-west']) };
    const found = await clock.run(stopped({ client, processes: undefined, clock }), 70_000);
    assert.deepEqual(found.not_reached, ['eu-west']);
    assert.ok(clock.monotonicMs() >= 60_000);
  });

  it('what was done is printed, and the regions that are left make it fail', () => {
    const said: string[] = [];
    const show = <T>(answered: T, lines: (answered: T) => string): void => void said.push(lines(answered));
    conclude(answer(['us-east'], [], 'A drill'), show);
    conclude(answer([], []), show);
    assert.throws(() => conclude(answer([], ['eu-west', 'ap-south'], 'A drill'), show), {
      name: 'CommandError',
      message: /^not reached: eu-west, ap-south; a partition there ends at its deadline/,
    });
    assert.deepEqual(said, [
      'ended: A drill\nhealed: us-east',
      'no drill was in progress\nno region was partitioned',
      'ended: A drill',
    ]);
  });
});
