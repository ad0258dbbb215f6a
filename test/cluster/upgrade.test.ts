/**
 * A rolling upgrade: what former versions left (`test/golden`) in one cluster with the present version. The data directory of one
 * region and a backup of it are of the former version, the third region starts empty; then a router of the former version writes.
 */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { storeDirectory } from '../../deploy/backup/data-dir.ts';
import { readManifest } from '../../deploy/backup/manifest.ts';
import { putBack } from '../../deploy/backup/put-back.ts';
import { openLmdbStore } from '../../services/region/store/lmdb-store.ts';
import { openLog } from '../../services/region/wal/log.ts';
import { checkedTables, hasAllChecksums, hasChecksum } from '../../services/region/wal/row-checksums.ts';
import { systemClock as clock, systemRandom as random } from '../../shared/kernel/system.ts';
import type { RegionStatus } from '../../shared/protocol/internal.ts';
import { STORE_FORMAT } from '../../shared/protocol/version.ts';
import { internalHeaders } from '../harness/clients/internal.ts';
import { requestJson } from '../harness/clients/request-json.ts';
import { eventually } from '../harness/kernel/eventually.ts';
import { Cluster } from '../harness/processes/cluster.ts';

const golden = 'test/golden';

for (const set of readdirSync(golden).filter((name) => name.startsWith('format-'))) {
  describe(`an upgrade from ${set}`, function () {
    this.timeout(120_000);
    const json = <T>(name: string): T => JSON.parse(readFileSync(join(golden, set, name), 'utf8')) as T;
    const expected = json<{ position: string; digest: string; item: Record<string, unknown> }>('expected.json');
    let scratch: string;
    let cluster: Cluster;

    before(async () => {
      scratch = mkdtempSync(join(tmpdir(), 'tidal-upgrade-'));
      const store = gunzipSync(readFileSync(join(golden, set, 'store.mdb.gz')));
      const from = join(scratch, 'backup');
      writeFileSync(from, store);
      writeFileSync(`${from}.json`, JSON.stringify(json('backup.json')));
      cluster = await Cluster.start({
        async fill(dataDir, region) {
          if (region === 'us-east') {
            mkdirSync(dataDir, { recursive: true });
            writeFileSync(join(dataDir, 'data.mdb'), store);
          }
          if (region !== 'ap-south') return;
          const unfinished = () => ({ release() {} });
          const manifest = readManifest(from);
          await putBack({ clock, random, from, manifest, dataDir, region, replace: false, say() {}, unfinished });
        },
      });
    });
    after(async () => {
      await cluster?.stop();
      rmSync(scratch, { recursive: true, force: true });
    });

    it('its data directory opens, its backup is restored, and an empty region follows: the same state, bit for bit', async () => {
      assert.equal(await cluster.converged(), expected.digest);
      for (const name of cluster.regionNames) {
        const { body } = await cluster.region<RegionStatus>(name, '/internal/status');
        assert.equal(body.applied, expected.position, name);
        const item = await cluster.region(name, '/items/1');
        for (const field of ['metadata', 'created_at', 'updated_at', 'embedding']) {
          assert.deepEqual(item.body[field], expected.item[field], `${field} in ${name}`);
        }
      }
    });

    it('requests as its router sent them are answered, and what they wrote reaches every region', async () => {
      const { leader, epoch, relay_log_len: before } = await cluster.status();
      const { requests } = json<{ requests: [string, string, Record<string, unknown>?][] }>('internal.json');
      let events = 0;
      for (const [method, path, body] of requests) {
        const sent = body !== undefined && 'epoch' in body ? { ...body, epoch } : body;
        const answer = await requestJson<Record<string, unknown>>(cluster.regionUrls.get(leader)! + path, {
          method,
          headers: { ...internalHeaders, 'content-type': 'application/json' },
          ...(sent === undefined ? {} : { body: JSON.stringify(sent) }),
        });
        const making = path === '/internal/snapshot' && answer.body.code === 'not_ready';
        assert.ok(answer.status === 200 || making, `${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
        if (path !== '/internal/writes') continue;
        const { writes, signals } = body as { writes: unknown[]; signals?: string };
        events += writes.length + (signals === undefined ? 0 : 4);
        const results = answer.body.results as Record<string, unknown>[];
        assert.ok(results.every((result) => typeof result.position === 'string'));
      }
      assert.ok(events >= 9, `${events} events`);
      await cluster.converged();
      assert.equal((await cluster.status()).relay_log_len, before + events);
    });

    it('a store that a later version has written is not opened: the region names the format', async () => {
      await cluster.process('ap-south').end('SIGTERM');
      const store = openLmdbStore({ path: storeDirectory(join(cluster.directory, 'ap-south'))! });
      await openLog({ store }).storeMark('format', STORE_FORMAT + 1);
      await store.close();
      await assert.rejects(
        cluster.restart('ap-south'),
        /the store has the format \d+; version [\d.]+ knows those up to/,
      );
      assert.equal(await cluster.process('ap-south').end('SIGKILL'), 2, 'a mistake of the operator');
    });

    it('after that its directory opens again, and every row of it has a checksum', async () => {
      await cluster.process('us-east').end('SIGTERM');
      const store = openLmdbStore({ path: join(cluster.directory, 'us-east'), readOnly: true });
      for (const table of checkedTables) {
        for (const { key, value } of store.range(table, {}))
          assert.ok(hasChecksum(table, key, value), `${table} ${key}`);
      }
      assert.ok(hasAllChecksums(store));
      await store.close();
      await cluster.restart('us-east');
      await eventually('it is ready', async () => (await cluster.region('us-east', '/health/ready')).status === 200);
    });
  });
}
