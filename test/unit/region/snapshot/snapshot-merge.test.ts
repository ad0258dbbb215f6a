/** A snapshot merges: what only this region has is appended to the copy, and nothing that cannot be is lost silently. */
import assert from 'node:assert/strict';
import type { Batch } from '../../../../services/region/batch/batch.ts';
import { packShard } from '../../../../services/region/checkpoint/checkpoint.ts';
import { checkLog } from '../../../../services/region/snapshot/check-log.ts';
import { lackOf, mergeInto, obstacleOf, repetitionBeyond } from '../../../../services/region/snapshot/merge.ts';
import { CATCHING_UP_INSTALLED } from '../../../../services/region/snapshot/snapshot.ts';
import { createLedger } from '../../../../services/region/state/ledger/signal-ledger.ts';
import { openLog } from '../../../../services/region/wal/log.ts';
import type { Wal } from '../../../../services/region/wal/wal.ts';
import { systemClock as clock } from '../../../../shared/kernel/system.ts';
import { type Event, HLC_PER_MS } from '../../../../shared/protocol/events.ts';
import { formatPosition } from '../../../../shared/protocol/position.ts';
import { chainOf, startMs, viewChain, viewEvent } from '../../../harness/region/batches.ts';
import { testSchema } from '../../../harness/region/core-region.ts';
import { MemoryStore } from '../../../harness/region/store/memory-store.ts';

const x = 'us-east@aaaaaaaaaa';
const y = 'eu-west@bbbbbbbbbb';
const z = 'ap-south@cccccccccc';

async function logOf(...chains: readonly (readonly Batch[])[]): Promise<Wal & { readonly disk: MemoryStore }> {
  const store = new MemoryStore();
  const wal = openLog({ store });
  for (const batches of chains) if (batches.length > 0) await wal.append({ batches });
  return Object.assign(wal, { disk: store });
}

describe('merging a snapshot', () => {
  const xs = viewChain(x, 8);
  const ys = viewChain(y, 6);
  const zs = viewChain(z, 3);

  it('of each origin the longer prefix is in it afterwards, and the log is whole (schedule 6)', async () => {
    const mine = await logOf(xs, ys.slice(0, 2), zs);
    const copy = await logOf(xs.slice(0, 5), ys);
    assert.equal(obstacleOf(mine, copy), undefined);
    const events = await mergeInto(mine, copy);
    assert.equal(events, 3 * 5 + 3 * 5);
    assert.equal(formatPosition(copy.durable), `${z}:15,${y}:30,${x}:40`);
    assert.deepEqual(await checkLog(clock, copy), { origins: 3, batches: 17, events: 85, shards: 0 });
    const again = openLog({ store: copy.disk.crash() });
    assert.equal(formatPosition(again.durable), formatPosition(copy.durable));
    assert.equal(formatPosition(mine.durable), `${z}:15,${y}:10,${x}:40`, 'the present store is as it was');
  });

  it('marks: the own name and partition switch, the higher leadership record; of one epoch the one that was here', async () => {
    const record = (leader: string, epoch: number, nonce: string) => ({ leader, epoch, nonce });
    for (const [here, there, expected] of [
      [record('us-east', 3, 'a'), record('eu-west', 4, 'b'), 'b'],
      [record('us-east', 5, 'a'), record('eu-west', 4, 'b'), 'a'],
      [record('us-east', 4, 'a'), record('eu-west', 4, 'b'), 'a'],
      [undefined, record('eu-west', 4, 'b'), 'b'],
      [record('us-east', 1, 'a'), undefined, 'a'],
    ] as const) {
      const mine = await logOf();
      const copy = await logOf(xs);
      await mine.storeMark('region', 'us-east');
      await copy.storeMark('region', 'eu-west');
      await copy.storeMark('cut', true);
      await copy.storeMark('catching_up', true);
      if (here !== undefined) await mine.storeMark('leadership', here);
      if (there !== undefined) await copy.storeMark('leadership', there);
      await mergeInto(mine, copy);
      assert.equal(copy.mark('region'), 'us-east');
      assert.equal(copy.mark('cut'), false);
      assert.equal(copy.mark('catching_up'), false);
      assert.equal((copy.mark('leadership') as { nonce: string }).nonce, expected);
    }
  });

  it('a region that is catching up continues doing so, and does not ask for the same again', async () => {
    const mine = await logOf();
    const copy = await logOf(xs);
    await mine.storeMark('catching_up', true);
    await mine.storeMark('cut', { healAtMs: 17 });
    await mergeInto(mine, copy);
    assert.equal(copy.mark('catching_up'), CATCHING_UP_INSTALLED);
    assert.deepEqual(copy.mark('cut'), { healAtMs: 17 });
  });

  it('the disk keeps its id; the peer’s is one of the others, and of all others what either side knew is known', async () => {
    const disk = (id: string, knownMs: number, retired = false) => ({
      ...{ id: id.repeat(13), region: 'ap-south', knownMs, retired },
    });
    const mine = await logOf();
    const copy = await logOf(xs);
    await mine.storeMark('disk', 'a'.repeat(13));
    await mine.storeMark('disks', [disk('b', 5), disk('c', 9)]);
    await copy.storeMark('region', 'eu-west');
    await copy.storeMark('disk', 'b'.repeat(13));
    await copy.storeMark('disks', [disk('a', 7), disk('c', 3, true), disk('d', 2)]);
    await mergeInto(mine, copy);
    assert.equal(copy.mark('disk'), 'a'.repeat(13));
    assert.deepEqual(copy.mark('disks'), [disk('b', 5), disk('c', 9, true), disk('d', 2)]);
    const without = await logOf();
    const other = await logOf(xs);
    await other.storeMark('disk', 'b'.repeat(13));
    await mergeInto(without, other);
    assert.equal(
      typeof other.mark('disk'),
      'object',
      'one that had no id yet gets one at the next start, never the peer’s',
    );
  });

  it('signals under keys from a time whose records the copy has removed are not appended to it: they might count twice', async () => {
    const day = 86_400_000;
    const keyed = (kind: 'signal' | 'item', acceptedMs: number): Event => {
      const key = { id: 'k'.padEnd(22, 'A'), bodyHash: 'AAAAAAAAAAA' };
      const hlc = acceptedMs * HLC_PER_MS;
      return kind === 'item'
        ? { kind, hlc, entity: 1, metadata: {}, key }
        : { kind, hlc, entity: 1, signal: 'view', weight: 1_000, timeMs: acceptedMs, key };
    };
    const forgetting = async (): Promise<Wal> => {
      const copy = await logOf(chainOf({ origin: y }, [[keyed('signal', startMs)]]));
      await copy.forgetKeys({
        from: undefined,
        limit: 9,
        limitBytes: 1e6,
        beforeMs: startMs + day,
        upTo: copy.durable,
      });
      assert.deepEqual([copy.keys, copy.keysForgottenMs], [0, startMs + day]);
      return copy;
    };
    for (const [event, fits] of [
      [keyed('signal', startMs), false],
      [keyed('signal', startMs + 8 * day - 1), false],
      [keyed('signal', startMs + 8 * day), true],
      [keyed('item', startMs), true],
      [viewEvent(1), true],
    ] as const) {
      const mine = await logOf(chainOf({ origin: x }, [[event]]));
      const copy = await forgetting();
      const found = await repetitionBeyond(clock, mine, copy.durable, copy.keysForgottenMs);
      assert.equal(found === undefined, fits, JSON.stringify(event));
      if (fits) assert.equal(await mergeInto(mine, copy), 1);
      else {
        assert.match(found!, /us-east@.*, beyond it in this region's log, holds a signal under an idempotency key/);
        await assert.rejects(mergeInto(mine, copy), { code: 'snapshot_unfit' });
        const whole = openLog({ store: mine.disk.backup() });
        assert.equal(
          await repetitionBeyond(clock, whole, mine.durable, copy.keysForgottenMs),
          undefined,
          'the copy has it',
        );
      }
    }
  });

  it('where the own log begins later, the copy must reach that far', async () => {
    const mine = await logOf(xs, ys);
    await mine.trim(x, 15, 2 ** 30);
    assert.equal(mine.origin(x)?.first, 16);
    assert.match(lackOf(mine, new Map([[x, 14]])) ?? '', /up to 14, and the log here begins at 16/);
    assert.equal(lackOf(mine, new Map([[x, 15]])), undefined);
    const short = await logOf(xs.slice(0, 2));
    assert.match(obstacleOf(mine, short) ?? '', /begins at 16/);
    const enough = await logOf(xs.slice(0, 3));
    assert.equal(obstacleOf(mine, enough), undefined);
    await mergeInto(mine, enough);
    assert.equal(formatPosition(enough.durable), `${y}:30,${x}:40`);
  });

  it('a trimmed copy takes the own tail too, and stays trimmed', async () => {
    const mine = await logOf(xs);
    const copy = await logOf(xs.slice(0, 6), ys);
    await copy.storeMark('checkpoint', { position: `${y}:30,${x}:30`, atMs: startMs });
    await copy.trim(x, 30, 2 ** 30);
    assert.equal(obstacleOf(mine, copy), undefined);
    await mergeInto(mine, copy);
    assert.deepEqual([copy.origin(x)?.first, copy.origin(x)?.last], [31, 40]);
    assert.deepEqual(await checkLog(clock, copy), { origins: 2, batches: 2 + 6, events: 10 + 30, shards: 0 });
  });

  it('a copy that differs below its end is not taken', async () => {
    const mine = await logOf(xs);
    const other = viewChain(x, 5, 3);
    const copy = await logOf(other);
    assert.match(obstacleOf(mine, copy) ?? '', /ends at 15 with another batch than here/);
  });
});

describe('checking a log', () => {
  it('finds a damaged byte, a lost batch, and an end that is not the recorded one', async () => {
    const xs = viewChain(x, 5);
    const whole = await logOf(xs);
    assert.deepEqual(await checkLog(clock, whole), { origins: 1, batches: 5, events: 25, shards: 0 });
    const damage = async (change: (store: MemoryStore) => Promise<void>, says: RegExp): Promise<void> => {
      const store = whole.disk.backup();
      await change(store);
      await assert.rejects(checkLog(clock, openLog({ store })), (error: { code: string; message: string }) => {
        assert.equal(error.code, 'damaged_log');
        assert.match(error.message, says);
        return true;
      });
    };
    for (const [index, batch] of xs.entries()) {
      await damage(
        (store) =>
          store.commit((transaction) => {
            const bytes = Uint8Array.from(batch.bytes);
            bytes[bytes.length - 3]! ^= 4;
            transaction.put('batches', [x, batch.first], bytes);
          }),
        new RegExp(`at ${x}:${1 + index * 5}`),
      );
    }
    for (const index of [1, 3, 4]) {
      await damage(
        (store) => store.commit((transaction) => transaction.remove('batches', [x, 1 + index * 5])),
        new RegExp(`(lacks|is damaged at) ${x}:${1 + index * 5}$`),
      );
    }
    await damage(
      (store) => store.commit((transaction) => transaction.put('batches', [x, 21], viewChain(x, 5, 5, 9)[4]!.bytes)),
      /is damaged at/,
    );
  });

  it('finds a damaged byte in a stored ledger shard', async () => {
    const wal = await logOf(viewChain(x, 5));
    const ledger = createLedger({ schema: testSchema });
    const shard = ledger.shardOf(1);
    ledger.add(1, 'view', 1_000, startMs);
    const pass = ledger.pass();
    while (!pass.prepare(1));
    const row = packShard(pass.encode(shard), new Map([[x, 20]]), new Map());
    await wal.storeShard(shard, row);
    assert.equal((await checkLog(clock, wal)).shards, 1);
    for (let at = 1; at < row.length; at++) {
      const damaged = Uint8Array.from(row);
      damaged[at]! ^= 1;
      await wal.storeShard(shard, damaged);
      await assert.rejects(checkLog(clock, wal), { code: 'damaged_checkpoint' });
    }
  });
});
