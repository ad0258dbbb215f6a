/** A search in slices returns what a search in the turn of its answer returns, whatever is written between the slices. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { SearchSlices } from '../../services/region/rank/sliced.ts';
import type { TopKScorer } from '../../services/region/rank/top-k.ts';
import { Unfinished } from '../../services/region/read-queue/read-queue.ts';
import type { RankKey, Scored } from '../../services/region/scored/scored.ts';
import { RankingWorld, type Step, steps } from '../harness/region/rank/ranking-world.ts';

type Feed = Extract<Step, { do: 'feed' }>;
type Write = Exclude<Step, Feed>;

/** As a profile with a gate: every third entity is not ranked. */
function gated(scorer: TopKScorer): TopKScorer {
  const { quiet, ...rest } = scorer;
  return {
    ...rest,
    gated: true,
    score: (entity, createdMs) => (entity % 3 === 0 ? Number.NEGATIVE_INFINITY : scorer.score(entity, createdMs)),
  };
}

interface Read {
  readonly total: number;
  readonly first: readonly Scored[];
  readonly next: readonly Scored[];
}

describe('ranking in slices', () => {
  it('is what one turn gives, with writes between all slices', () => {
    let suspended = 0;
    fc.assert(
      fc.property(steps, steps, fc.integer({ min: 1, max: 4 }), fc.boolean(), (list, later, callsASlice, isGated) => {
        const world = new RankingWorld();
        const isWrite = (step: Step): step is Write => step.do !== 'feed' && step.do !== 'restart';
        for (const step of list) if (isWrite(step)) world.play(step);
        const writes = later.filter(isWrite);
        for (const step of later.filter((each): each is Feed => each.do === 'feed')) {
          const atMs = world.nowMs - step.atAgoMs;
          const plain = world.scorer(step.profile, { window: step.window, atMs, past: step.past });
          const scorer = isGated ? gated(plain) : plain;
          const { divisor, limit } = step;
          const accept = (one: number): boolean =>
            (divisor === undefined || one % divisor === 1) && !(isGated && one % 3 === 0);
          let calls = 0;
          const over = (): boolean => ++calls % callsASlice === 0;
          const slices = new SearchSlices(over);
          let key: RankKey | undefined;
          const read = (): Read => {
            const selection = divisor === undefined ? undefined : world.selection(divisor);
            const ranking = world.topK.ranking(scorer, selection, { atMs, past: step.past, slices });
            const first = ranking.after(undefined, limit);
            // A page that was asked for once stays the question, as its cursor would.
            key ??= first.at(-1);
            return { total: ranking.total, first, next: key === undefined ? [] : ranking.after(key, limit) };
          };
          let answer: Read | undefined;
          while (answer === undefined) {
            try {
              answer = read();
            } catch (error) {
              if (!(error instanceof Unfinished)) throw error;
              suspended++;
              do {
                for (const write of writes.splice(0, 3)) world.play(write);
              } while (!error.work.step(over));
            }
          }
          slices.end();
          const all = world.scan(scorer, accept, 1_000);
          assert.equal(answer.total, all.length);
          assert.deepEqual(answer.first, all.slice(0, limit));
          const { tie = 0, score, entity } = key ?? { entity: 0, score: 0 };
          const after = all.filter((one) => {
            const oneTie = one.tie ?? 0;
            if (one.score !== score) return one.score < score;
            return oneTie < tie || (oneTie === tie && one.entity > entity);
          });
          assert.deepEqual(answer.next, key === undefined ? [] : after.slice(0, limit));
        }
      }),
      { numRuns: 600 },
    );
    assert.ok(suspended > 1_000, `${suspended} slices`);
  });
});
