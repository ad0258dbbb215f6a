/** Limits of the state: what would add to it is refused by name, exactly at the limit, and nothing else is. */
import assert from 'node:assert/strict';
import type { StateLimits } from '../../../../services/region/intake/intake.ts';
import type { EventBody } from '../../../../shared/protocol/events.ts';
import { withKeys } from '../../../../shared/protocol/idempotency.ts';
import { isRefused, type WritesReply } from '../../../../shared/protocol/internal.ts';
import { fromWire, toWire } from '../../../../shared/protocol/writes.ts';
import { columnsOf } from '../../../harness/clients/wire-signals.ts';
import { ManualClock } from '../../../harness/kernel/manual-clock.ts';
import { chainOf, startMs } from '../../../harness/region/batches.ts';
import { CoreRegion, item, outcomes, testSchema, view } from '../../../harness/region/core-region.ts';
import { MemoryBroker } from '../../../harness/stream/memory-stream.ts';

const unlimited = Number.POSITIVE_INFINITY;

interface Rig {
  readonly region: CoreRegion;
  readonly clock: ManualClock;
  write(bodies: Parameters<CoreRegion['write']>[0], atomic?: boolean): Promise<WritesReply>;
}

async function leading(stateLimits: Partial<StateLimits>): Promise<Rig> {
  const clock = new ManualClock();
  const broker = new MemoryBroker({ clock });
  const setup = broker.connect('setup');
  await clock.settle();
  await setup.control.create({ leader: 'us-east', epoch: 1, nonce: 'first' });
  const limits = { entities: unlimited, pairs: unlimited, fields: unlimited, ...stateLimits };
  const region = new CoreRegion({ region: 'us-east', clock, broker, stateLimits: limits }).start();
  await clock.until('it leads', () => 'epoch' in region.role.gate(1));
  return {
    ...{ region, clock },
    async write(bodies, atomic = false) {
      let reply: WritesReply | undefined;
      void region.write(bodies, { atomic }).then((got) => {
        reply = got;
      });
      await clock.until('the writes are answered', () => reply !== undefined);
      return reply!;
    },
  };
}

const skip = (entity: number): EventBody => ({ kind: 'signal', entity, signal: 'skip', weight: 1, timeMs: undefined });
const remove = (entity: number): EventBody => ({ kind: 'delete', entity });
const embed = (entity: number): EventBody => ({
  ...{ kind: 'embedding', entity },
  values: new Float32Array(testSchema.embedding.dimensions).fill(1),
});
const wires = (...entities: number[]) => entities.map((e) => ({ k: 's', e, s: 'view', w: 1_000 }) as const);

describe('the limits of the state', () => {
  it('writes of one group are accepted up to the limit, one by one; what exists is written on', async () => {
    const { region, write } = await leading({ pairs: 3 });
    const reply = await write([view(1), view(1), skip(1), view(2), view(3), view(1), skip(2), view(2), view(3)]);
    const full = 'state_full';
    assert.deepEqual(outcomes(reply), [
      ...['stream', 'stream', 'stream', 'stream'],
      ...[full, 'stream', full, 'stream', full],
    ]);
    assert.equal(region.ledger.pairs, 3);
    assert.deepEqual(outcomes(await write([view(4), skip(1)])), [full, 'stream']);
  });

  it('the refusal names the region, the limit, its value and the setting', async () => {
    const { write } = await leading({ pairs: 2, entities: 2 });
    await write([view(1), view(2)]);
    const [pair, entity] = (await write([skip(1), item(3, 'x')])).results;
    assert.ok(isRefused(pair!) && isRefused(entity!));
    assert.equal(pair.problem.status, 507);
    assert.equal(pair.problem.detail, 'us-east has 2 of at most 2 (item, signal) pairs; the request would add 1');
    assert.match(pair.problem.hint ?? '', /^raise --max-pairs \(TIDAL_MAX_PAIRS\) of all regions/);
    assert.equal(entity.problem.detail, 'us-east has 2 of at most 2 entities; the request would add 1');
    assert.match(entity.problem.hint ?? '', /^raise --max-entities \(TIDAL_MAX_ENTITIES\) of all regions/);
  });

  it('an atomic bulk is refused whole and changes nothing, by column and one by one', async () => {
    for (const shape of ['columns', 'events'] as const) {
      const { region, write } = await leading({ pairs: 3 });
      await write([view(1)]);
      const bulk = (...entities: number[]) =>
        shape === 'columns' ? columnsOf(wires(...entities)) : wires(...entities).map(fromWire);
      const before = [region.durable, region.digest()];
      assert.deepEqual(outcomes(await write(bulk(1, 2, 3, 4), true)), ['state_full'], shape);
      assert.deepEqual([region.durable, region.digest()], before, shape);
      assert.deepEqual(outcomes(await write(bulk(1, 2, 3, 3, 2), true)), ['stream'], shape);
      assert.equal(region.ledger.pairs, 3);
    }
  });

  it('items, embeddings and signals of a new entity are refused beyond the limit of entities; deletes of known ones continue', async () => {
    const { write } = await leading({ entities: 2 });
    assert.deepEqual(outcomes(await write([item(1, 'a'), view(2)])), ['stream', 'stream']);
    const refused = [item(3, 'b'), view(3), embed(3), remove(3)];
    const accepted = [item(1, 'c'), skip(1), embed(1), remove(1), item(2, 'd'), embed(2), remove(2)];
    assert.deepEqual(outcomes(await write([...refused, ...accepted])), [
      ...refused.map(() => 'state_full'),
      ...accepted.map(() => 'stream'),
    ]);
  });

  it('a refused write under an idempotency key may be sent again; an accepted one is answered as before', async () => {
    const { write } = await leading({ pairs: 1 });
    const keyed = (key: string, body: EventBody) => withKeys(key, 'signals', [toWire(body)], false).map(fromWire);
    await write(keyed('a', view(1)));
    assert.deepEqual(outcomes(await write(keyed('b', view(2)))), ['state_full']);
    assert.deepEqual(outcomes(await write(keyed('b', view(1)))), ['stream']);
    assert.equal((await write(keyed('a', view(1)))).results[0]!['replayed' as never], true);
  });

  it('items with fields beyond the limit are refused, other items and fields of items that were removed are not', async () => {
    const { region, write } = await leading({ fields: 3 });
    const fielded = (entity: number, ...fields: string[]): EventBody => ({
      ...{ kind: 'item', entity },
      metadata: Object.fromEntries(fields.map((field) => [field, 1])),
    });
    const full = 'state_full';
    const reply = await write([
      fielded(1, 'a', 'b'),
      fielded(2, 'c', 'd'),
      fielded(3, 'b', 'c'),
      fielded(4, 'd'),
      view(5),
    ]);
    assert.deepEqual(outcomes(reply), ['stream', full, 'stream', full, 'stream']);
    const refused = reply.results[3]!;
    assert.ok(isRefused(refused));
    assert.equal(refused.problem.detail, 'us-east has 3 of at most 3 metadata fields; the request would add 1');
    assert.match(refused.problem.hint ?? '', /^raise --max-fields \(TIDAL_MAX_FIELDS\) of all regions/);
    const before = [region.durable, region.digest()];
    assert.deepEqual(outcomes(await write([fielded(4, 'a'), fielded(5, 'd')], true)), [full]);
    assert.deepEqual([region.durable, region.digest()], before);
    assert.deepEqual(outcomes(await write([fielded(1, 'b'), fielded(6, 'a'), fielded(7, 'c')])), [
      'stream',
      'stream',
      'stream',
    ]);
    assert.deepEqual(outcomes(await write([remove(6)])), ['stream']);
    // The field of what was removed is free when the removal is indexed.
    assert.ok(region.recovered.indexQueue.step(() => false));
    assert.deepEqual(outcomes(await write([fielded(8, 'd')])), ['stream']);
  });

  it('beyond the limit of memory nothing is added, until memory is free again', async () => {
    let usedBytes = 100;
    const memory = { setting: 'the memory', read: () => ({ usedBytes, limitBytes: 100 }) };
    const { clock, write } = await leading({ memory });
    assert.deepEqual(outcomes(await write([item(1, 'a'), view(2)])), ['stream', 'stream']);
    usedBytes = 101;
    await clock.advance(1_000);
    const bodies = [view(3), item(2, 'b'), embed(1), item(1, 'c'), view(2), remove(1)];
    const full = 'state_full';
    const reply = await write(bodies);
    assert.deepEqual(outcomes(reply), [full, full, full, 'stream', 'stream', 'stream']);
    const [first] = reply.results;
    assert.ok(isRefused(first!));
    assert.equal(first.problem.detail, 'us-east uses 101 of at most 100 bytes of memory for its state');
    assert.match(first.problem.hint ?? '', /^raise the memory of all regions/);
    usedBytes = 99;
    await clock.advance(1_000);
    assert.deepEqual(outcomes(await write([view(3)])), ['stream']);
  });

  it('what another region accepted is applied beyond the limits, and replayed at a start', async () => {
    const { region } = await leading({ pairs: 1, entities: 1 });
    const origin = 'eu-west@aaaaaaaaaa';
    const signals = [1, 2, 3].map((entity) => ({
      ...({ kind: 'signal', entity, signal: 'view', weight: 1_000 } as const),
      ...{ hlc: startMs * 2048 + entity, timeMs: startMs },
    }));
    await region.ingest.take(chainOf({ origin }, [signals]));
    assert.equal(region.ledger.pairs, 3);
    const again = region.crash();
    assert.deepEqual([again.ledger.pairs, again.digest()], [3, region.digest()]);
  });
});
