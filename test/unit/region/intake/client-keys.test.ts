/** The idempotency keys of one client: it cannot fill the table of all. */
import assert from 'node:assert/strict';
import { ClientKeys } from '../../../../services/region/intake/client-keys.ts';
import { createMetrics } from '../../../../shared/observe/metrics.ts';
import type { EventBody } from '../../../../shared/protocol/events.ts';
import { withKeys } from '../../../../shared/protocol/idempotency.ts';
import { isRefused } from '../../../../shared/protocol/internal.ts';
import { fromWire, toWire } from '../../../../shared/protocol/writes.ts';
import { ManualClock } from '../../../harness/kernel/manual-clock.ts';
import { unreadMetrics } from '../../../harness/observe/counted-metrics.ts';
import { RecordingLog } from '../../../harness/observe/recording-log.ts';
import { CoreRegion, view, views } from '../../../harness/region/core-region.ts';
import { MemoryBroker } from '../../../harness/stream/memory-stream.ts';

const DAY_MS = 86_400_000;

function keyed(key: string, bodies: readonly EventBody[], bulk = false): EventBody[] {
  return withKeys(key, 'signals', bodies.map(toWire), bulk).map(fromWire) as EventBody[];
}

describe('the idempotency keys of one client', () => {
  it('beyond its limit its new ones are refused; known ones, writes without one and other clients are answered', async () => {
    const clock = new ManualClock();
    const log = new RecordingLog();
    const broker = new MemoryBroker({ clock });
    const setup = broker.connect('setup');
    await clock.settle();
    await setup.control.create({ leader: 'us-east', epoch: 1, nonce: 'first' });
    const metrics = createMetrics({ process: 'region', name: 'us-east', nodeMetrics: false });
    const clientKeys = new ClientKeys({ clock, log, metrics, limit: 4, limitBytes: 1e9 });
    const region = new CoreRegion({ region: 'us-east', clock, broker, clientKeys }).start();
    await clock.until('it leads', () => 'epoch' in region.role.gate(1));
    const write = async (
      bodies: readonly EventBody[],
      clients?: readonly string[],
      atomic = false,
    ): Promise<string[]> => {
      const submitted = region.write(bodies, { clients, atomic });
      let over = false;
      void submitted.finally(() => {
        over = true;
      });
      await clock.until('it is answered', () => over);
      return (await submitted).results.map((result) =>
        isRefused(result) ? result.problem.code : result.replayed === true ? 'replayed' : 'taken',
      );
    };
    assert.deepEqual(await write(keyed('bulk', views(100), true), ['the key a'], true), ['taken']);
    assert.deepEqual(await write(keyed('1', [view(1)]), ['the key a']), ['taken']);
    assert.deepEqual(
      log.lines.map(({ message, fields }) => [message, fields.client, fields.keys]),
      [['client has used half of its idempotency keys', 'the key a', 2]],
    );
    assert.deepEqual(await write([...keyed('2', [view(1)]), ...keyed('3', [view(1)])], ['the key a', 'the key a']), [
      'taken',
      'taken',
    ]);
    const durable = [...region.wal.durable];
    assert.deepEqual(await write([...keyed('4', [view(1)]), ...keyed('4', [view(2)])].slice(0, 1), ['the key a']), [
      'client_keys_full',
    ]);
    assert.deepEqual(await write(keyed('more', views(2), true), ['the key a'], true), ['client_keys_full']);
    assert.deepEqual([...region.wal.durable], durable, 'a refusal changes nothing');
    assert.deepEqual(await write([...keyed('1', [view(1)]), ...keyed('5', [view(1)])], ['the key a', 'the key b']), [
      'replayed',
      'taken',
    ]);
    assert.deepEqual(await write([view(1)]), ['taken']);
    assert.deepEqual(await write(keyed('of an earlier router', [view(1)])), ['taken']);
    const { text } = await metrics.render();
    assert.match(text, /tidal_idempotency_client_share\{[^}]*\} 1\n/);
    assert.match(text, /tidal_idempotency_client_refused_total\{[^}]*\} 2\n/);
  });

  it('are free again when their records are removed; those of each day on their own', () => {
    const clock = new ManualClock();
    const keys = new ClientKeys({ clock, log: new RecordingLog(), metrics: unreadMetrics, limit: 2, limitBytes: 1e9 });
    const isRefusedNow = (): boolean => keys.refusalOf('a') !== undefined;
    keys.accepted('a', 1);
    clock.stand(4 * DAY_MS);
    keys.accepted('a', 1);
    assert.equal(isRefusedNow(), true);
    clock.stand(4 * DAY_MS);
    assert.equal(isRefusedNow(), true);
    clock.stand(DAY_MS);
    assert.equal(isRefusedNow(), false);
    keys.accepted('a', 1);
    assert.equal(isRefusedNow(), true);
  });

  it('the bytes of large bulks are limited as well', () => {
    const clock = new ManualClock();
    const keys = new ClientKeys({
      clock,
      log: new RecordingLog(),
      metrics: unreadMetrics,
      limit: 1_000,
      limitBytes: 640_000,
    });
    keys.accepted('a', 20_000);
    assert.equal(keys.refusalOf('a'), undefined);
    keys.accepted('a', 20_000);
    assert.equal(keys.refusalOf('a')?.code, 'client_keys_full');
    assert.equal(keys.refusalOf('b'), undefined);
  });

  it('with thousands of clients a new one costs little: many are removed at once', () => {
    let looks = 0;
    const manual = new ManualClock();
    const clock = {
      nowMs: () => {
        looks++;
        return manual.nowMs();
      },
      monotonicMs: () => manual.monotonicMs(),
      after: manual.after.bind(manual),
    };
    const keys = new ClientKeys({ clock, log: new RecordingLog(), metrics: unreadMetrics, limit: 3, limitBytes: 1e9 });
    for (let client = 0; client < 20_000; client++) keys.accepted(`client ${client}`, 1);
    assert.ok(looks < 20_000 * 20, `${looks} looks at the clients`);
  });

  it('with thousands of clients the ones with the most stay counted; 0 is no limit', () => {
    const clock = new ManualClock();
    const options = { clock, log: new RecordingLog(), metrics: unreadMetrics, limitBytes: 1e9 };
    const keys = new ClientKeys({ ...options, limit: 3 });
    for (let count = 0; count < 3; count++) keys.accepted('greedy', 1);
    for (let client = 0; client < 5_000; client++) keys.accepted(`client ${client}`, 1);
    assert.equal(keys.refusalOf('greedy')?.code, 'client_keys_full');
    const unlimited = new ClientKeys({ ...options, limit: 0 });
    for (let count = 0; count < 10; count++) unlimited.accepted('a', 1);
    assert.equal(unlimited.refusalOf('a'), undefined);
  });
});
