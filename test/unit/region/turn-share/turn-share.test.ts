import assert from 'node:assert/strict';
import { decodeBatch } from '../../../../services/region/batch/batch.ts';
import { TurnShare, workLimits, workOf } from '../../../../services/region/turn-share/turn-share.ts';
import { BATCH_LIMIT_EVENTS } from '../../../../shared/protocol/events.ts';
import { chainOf, viewChain } from '../../../harness/region/batches.ts';

describe('turn share', () => {
  it('work continues in the same turn until its share is used up, then in the next one', async () => {
    let turns = 0;
    const share = new TurnShare((action) => {
      turns++;
      setImmediate(action);
    }, 10);
    const seen: number[] = [];
    for (const work of [4, 4, 4, 9, 30, 1]) {
      await share.use(work);
      seen.push(turns);
    }
    assert.deepEqual(seen, [0, 0, 1, 1, 2, 2]);
  });

  it('a signal without a key is one piece of work, any other event several', () => {
    const [signals] = viewChain('us-east@aaaaaaaaaa', 1, 7);
    assert.equal(workOf(decodeBatch(signals!.bytes)), 7);
    const items = [1, 2, 3].map((entity) => ({ kind: 'item', hlc: 1e15 + entity, entity, metadata: {} }) as const);
    const [batch] = chainOf({ origin: 'us-east@aaaaaaaaaa' }, [items]);
    assert.ok(workOf(decodeBatch(batch!.bytes)) >= 10 * 3);
  });

  it('one turn takes a whole batch of signals, one transaction several', () => {
    assert.ok(workLimits.turn >= BATCH_LIMIT_EVENTS);
    assert.ok(workLimits.append >= 2 * BATCH_LIMIT_EVENTS);
  });
});
