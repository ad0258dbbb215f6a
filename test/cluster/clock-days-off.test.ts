/**
 * A clock is 30 days ahead: nothing is accepted under it, whichever others are alive. And if the log has an event from the
 * future, what is accepted afterwards has the right time.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../shared/kernel/system.ts';
import { HLC_PER_MS, TIME_LIMIT_MS } from '../../shared/protocol/events.ts';
import { regionOf } from '../../shared/protocol/position.ts';
import { connectJetStream } from '../../shared/stream/jetstream.ts';
import { internalKeys } from '../harness/clients/internal.ts';
import { rawBatch, rawSignal } from '../harness/hostile/garbage.ts';
import { eventually } from '../harness/kernel/eventually.ts';
import { Cluster } from '../harness/processes/cluster.ts';

const DAY_MS = 86_400_000;
const AHEAD_MS = 30 * DAY_MS;

interface Feed {
  readonly at: string;
  readonly items: readonly { readonly entity_id: number }[];
}
interface ItemAnswer {
  readonly at: string;
  readonly created_at: string;
  readonly signals: { readonly view?: Readonly<Record<'1h' | '24h' | '7d' | 'all' | 'decayed', number>> };
}

const view = (cluster: Cluster, entity: number) =>
  cluster.post<{ code?: string; detail?: string }>('/signals', { entity_id: entity, signal: 'view' });

describe('a clock is 30 days ahead', function () {
  this.timeout(180_000);
  const file = join(tmpdir(), `tidal-days-${process.pid}`);
  let cluster: Cluster;

  before(async () => {
    writeFileSync(file, '0');
    cluster = await Cluster.start({
      topology: ['failover: automatic'],
      mains: {
        'eu-west': { main: 'test/harness/kernel/stepped-clock-region.js', env: { TIDAL_TEST_CLOCK_FILE: file } },
      },
    });
  });
  after(async () => {
    await cluster?.stop();
    rmSync(file, { force: true });
  });

  const setClock = async (offMs: number, running = true): Promise<void> => {
    writeFileSync(file, String(offMs));
    if (running) cluster.process('eu-west').signal('SIGUSR2');
  };
  const writeBlocker = async (region: string): Promise<string | undefined> =>
    (await cluster.region<{ writeBlocker?: { code: string } }>(region, '/internal/status')).body.writeBlocker?.code;
  const promote = (region: string, force = false) =>
    cluster.post<{ code?: string; detail?: string; leader?: string }>('/cluster/promote', { region, force });

  it('failover never chooses the region it belongs to: not among two, and not when it alone is left', async () => {
    assert.equal((await view(cluster, 1)).status, 200);
    await setClock(AHEAD_MS);
    await eventually('it is named', async () => (await writeBlocker('eu-west')) === 'clock_unsafe');
    await cluster.kill('us-east');
    await eventually('ap-south leads', async () => (await cluster.status()).leader === 'ap-south', 30_000);
    assert.equal((await view(cluster, 1)).status, 200);
    await cluster.kill('ap-south');
    const { status, body } = await promote('eu-west');
    assert.deepEqual([status, body.code], [409, 'target_not_ready'], JSON.stringify(body));
    assert.match(String(body.detail), /the clock of eu-west is 2592000 s off 3 of 3 other clocks/);
  });

  it('promoted by force, it still accepts nothing, until its clock is right', async () => {
    assert.equal((await promote('eu-west', true)).status, 200);
    const refused = await view(cluster, 1);
    assert.deepEqual([refused.status, refused.body.code], [503, 'clock_unsafe'], JSON.stringify(refused.body));
    await setClock(0);
    await eventually('it accepts', async () => (await view(cluster, 1)).status === 200);
  });

  it('started first and alone with a wrong clock, the leader accepts nothing: its router’s clock is another', async () => {
    await cluster.kill('eu-west');
    await setClock(AHEAD_MS, false);
    await cluster.restart('eu-west');
    await eventually('the leader answers', async () => (await view(cluster, 1)).body.code === 'clock_unsafe');
    assert.equal(await writeBlocker('eu-west'), 'clock_unsafe');
    await cluster.kill('eu-west');
    await setClock(0, false);
    await cluster.restart('eu-west');
    await eventually('it accepts', async () => (await view(cluster, 1)).status === 200);
    await Promise.all([cluster.restart('us-east'), cluster.restart('ap-south')]);
    await cluster.settled();
    await cluster.converged();
  });

  /** Publishes one view of entity 1, accepted at that time in the leader's name. */
  const published = async (timeMs: number, epoch: number, origin: string): Promise<void> => {
    const { url } = cluster.nats;
    const client = connectJetStream({ url, name: 'old-program', clock: systemClock, settings: { maxBytes: -1 } });
    await eventually('connected', () => client.stream.connected);
    const bytes = rawBatch({
      origin,
      epoch,
      hlc: timeMs * HLC_PER_MS + 1,
      signals: ['view'],
      events: [rawSignal(1_000)],
    });
    await client.stream.publish(origin, bytes, 0, internalKeys.macOf(regionOf(origin), bytes));
    await client.close();
  };

  it('an event from the future in the log changes no time of what is accepted afterwards', async () => {
    const { leader, epoch } = await cluster.status();
    const futureMs = Date.now() + AHEAD_MS;
    await published(futureMs, epoch, `${leader}@oldprogram22`);
    const logAhead = async (name: string): Promise<number> =>
      (await cluster.region<{ logAheadMs?: number }>(name, '/internal/status')).body.logAheadMs ?? 0;
    await eventually('every region has it', async () => {
      const ahead = await Promise.all(cluster.regionNames.map(logAhead));
      return ahead.every((ms) => ms > AHEAD_MS - DAY_MS);
    });
    const health = await cluster.get<{ status: string; notes: string[] }>('/health');
    assert.equal(health.body.status, 'degraded');
    assert.match(
      health.body.notes.join('; '),
      /eu-west: its log has events from 2592000|eu-west: its log has events from 25919/,
    );
    const metrics = await (await fetch(`${cluster.regionUrls.get('us-east')}/metrics`)).text();
    assert.match(metrics, /^tidal_log_ahead_seconds\{.*\} 2\.?59\d+/m);

    assert.equal((await cluster.post('/items', { entity_id: 7, metadata: { title: 'seven' } })).status, 200);
    for (let n = 0; n < 11; n++) assert.equal((await view(cluster, 7)).status, 200);
    const lines = Array.from({ length: 9 }, () => JSON.stringify({ entity_id: 7, signal: 'view' })).join('\n');
    const bulk = await cluster.post('/signals', lines, { 'content-type': 'application/x-ndjson' });
    assert.equal(bulk.status, 200, JSON.stringify(bulk.body));
    await cluster.converged();
    for (const region of cluster.regionNames) {
      const { body } = await cluster.get<ItemAnswer>(`/items/7?region=${region}`);
      const { '1h': hour, '24h': day, '7d': week, all, decayed } = body.signals.view!;
      assert.deepEqual([hour, day, week, all], [20, 20, 20, 20], region);
      assert.ok(decayed > 19 && decayed <= 20, `${decayed}`);
      assert.ok(Math.abs(Date.parse(body.created_at) - Date.now()) < 60_000, body.created_at);
      assert.ok(Math.abs(Date.parse(body.at) - Date.now()) < 60_000, `reads answer for ${body.at}`);
      const feed = await cluster.get<Feed>(`/feed?profile=trending&region=${region}`);
      assert.ok(
        feed.body.items.some(({ entity_id }) => entity_id === 7),
        JSON.stringify(feed.body),
      );
    }
  });

  it('a clock value beyond the year 2100 is refused by every region, and the leader continues', async () => {
    const { leader, epoch } = await cluster.status();
    await published(TIME_LIMIT_MS, epoch, `${leader}@aaaaaaaaaaaaa`);
    await eventually('it is counted', async () => {
      const texts = await Promise.all(
        [...cluster.regionUrls.values()].map(async (url) => (await fetch(`${url}/metrics`)).text()),
      );
      return texts.every((text) => /^tidal_refused_batches_total\{.*implausible.*\} [1-9]/m.test(text));
    });
    assert.equal((await view(cluster, 7)).status, 200);
    await cluster.converged();
  });

  it('the way out of the runbook: one region is mended, promoted, and the others take its state over', async () => {
    const viewsOf = async (region: string): Promise<readonly (number | undefined)[]> => {
      const { body } = await cluster.get<ItemAnswer>(`/items/1?region=${region}`);
      const { '1h': hour, all } = body.signals.view!;
      return [hour, all];
    };
    assert.equal((await cluster.post('/items', { entity_id: 1, metadata: { title: 'one' } })).status, 200);
    assert.equal((await view(cluster, 1)).status, 200);
    await cluster.converged();
    const [stuck, all] = await viewsOf('us-east');
    assert.equal(stuck, 0, 'the window of a touched pair stands still');
    await cluster.process('us-east').end('SIGTERM');
    const mend = fileURLToPath(new URL('../../deploy/mend/main.js', import.meta.url));
    const schema = fileURLToPath(new URL('../../../deploy/config/default-schema.yaml', import.meta.url));
    const said = execFileSync(process.execPath, [
      ...[mend, '--data-dir', join(cluster.directory, 'us-east'), '--schema', schema],
    ]).toString();
    assert.match(said, /[1-9]\d* pairs/);
    await cluster.restart('us-east');
    await eventually('us-east has caught up', async () => (await promote('us-east')).status === 200);
    await eventually('all have the mended state', async () => {
      const answers = await Promise.all(
        cluster.regionNames.map((name) => cluster.region<{ mended?: { count: number } }>(name, '/internal/status')),
      );
      return answers.every(({ body }) => body.mended?.count === 1);
    });
    await cluster.settled();
    assert.equal((await view(cluster, 1)).status, 200);
    await cluster.converged();
    for (const region of cluster.regionNames) assert.deepEqual(await viewsOf(region), [1, all! + 1], region);
  });
});
