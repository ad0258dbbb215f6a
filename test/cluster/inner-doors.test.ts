/** The inner doors of a cluster: its regions serve its own processes only, and its secret is replaced while it runs. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InternalKeys } from '../../shared/credentials/internal-keys.ts';
import type { RegionStatus } from '../../shared/protocol/internal.ts';
import { Acknowledged } from '../harness/clients/acknowledged.ts';
import { keepWriting } from '../harness/clients/keep-writing.ts';
import { requestJson } from '../harness/clients/request-json.ts';
import { eventually } from '../harness/kernel/eventually.ts';
import { Cluster } from '../harness/processes/cluster.ts';
import { NodeProcess } from '../harness/processes/node-process.ts';

const fresh = (): string => randomBytes(32).toString('base64url');

describe('inner doors', function () {
  this.timeout(120_000);
  let cluster: Cluster;
  let directory: string;
  let file: string;
  let secret: string;

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'tidal-doors-'));
    file = join(directory, 'internal-secret');
    secret = fresh();
    writeFileSync(file, secret, { mode: 0o600 });
    cluster = await Cluster.start({ environment: { TIDAL_INTERNAL_SECRET: '', TIDAL_INTERNAL_SECRET_FILE: file } });
  });
  after(async () => {
    await cluster?.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  const numberIn = async (url: string, pattern: RegExp): Promise<number> =>
    Number(pattern.exec(await (await fetch(`${url}/metrics`)).text())?.[1]);

  it('without the token, or with another one: 401, counted, and nothing is changed', async () => {
    const url = cluster.regionUrls.get('us-east')!;
    const before = (await cluster.status()).relay_log_len;
    const write = JSON.stringify({ epoch: 1, atomic: true, writes: [{ k: 'd', e: 1 }] });
    const requests: [path: string, body?: string][] = [
      ...['status', 'digest', 'kept-digests', 'log/us-east@aaaaaaaaaaaaa?from=1'].map((path): [string] => [
        `/internal/${path}`,
      ]),
      ...['writes', 'handover', 'partition', 'snapshot', 'retire-disk', 'quarantine', 'leadership'].map(
        (path): [string, string] => [`/internal/${path}`, write],
      ),
      ...['/feed', '/search?query=a', '/items/1', '/INTERNAL/status', '/nowhere', '/metrics/../internal/status'].map(
        (path): [string] => [path],
      ),
    ];
    for (const authorization of ['', 'Bearer', `Bearer ${secret}`, `Bearer ${fresh()}`, 'Basic x']) {
      for (const [path, body] of requests) {
        const answer = await requestJson<{ code: string }>(url + path, {
          ...(body === undefined ? {} : { method: 'POST', body }),
          headers: { 'content-type': 'application/json', ...(authorization === '' ? {} : { authorization }) },
        });
        assert.deepEqual([answer.status, answer.body.code], [401, 'unauthenticated'], path);
        assert.match(answer.headers.get('content-type') ?? '', /problem\+json/);
        assert.equal(answer.headers.get('www-authenticate'), 'Bearer');
      }
    }
    assert.ok((await numberIn(url, /^tidal_internal_requests_refused_total\{.*\} (\d+)$/m)) >= 5 * requests.length);
    assert.equal((await cluster.status()).relay_log_len, before);
    for (const path of ['/health/live', '/health/ready', '/metrics']) {
      assert.equal((await fetch(url + path)).status, 200, path);
    }
  });

  it('a secret is replaced while the cluster runs: no write fails, and the former one is invalid afterwards', async () => {
    const told = new Acknowledged();
    const stop = keepWriting(cluster, told);
    const urls = [...cluster.regionUrls.values(), cluster.url];
    const next = fresh();
    const valid = async (text: string, count: number, first: string): Promise<void> => {
      writeFileSync(file, text);
      await eventually('every process has read it', async () => {
        const counts = await Promise.all(urls.map((url) => numberIn(url, /^tidal_internal_secrets\{.*\} (\d+)$/m)));
        const read = [...cluster.processes.values()].every(({ lines }) =>
          lines.findLast((line) => line.includes('internal secret read again'))?.includes(`"ids":["${first}"`),
        );
        return read && counts.every((each) => each === count);
      });
    };
    const idOf = (text: string): string => new InternalKeys({ secrets: [text], insecure: false }).ids[0]!;
    await valid(`${secret}\n${next}\n`, 2, idOf(secret));
    await valid(`${next}\n${secret}\n`, 2, idOf(next));
    await valid(`${next}\n`, 1, idOf(next));
    await stop();
    // The record in the leadership key was written again, under the next secret.
    const { body: health } = await cluster.get<{ notes: readonly string[] }>('/health');
    assert.deepEqual(
      health.notes.filter((note) => note.includes('leadership key')),
      [],
    );
    assert.deepEqual([told.refused, told.unknown.size], [[], 0]);
    const former = new InternalKeys({ secrets: [secret], insecure: false }).headers;
    const status = await requestJson<RegionStatus>(`${cluster.regionUrls.get('eu-west')}/internal/status`, {
      headers: former,
    });
    assert.equal(status.status, 401);
    await eventually('all regions have one state', async () => {
      const { body } = await cluster.post('/cluster/verify', {});
      return body.converged === true;
    });
    await cluster.settled();
  });

  it('a process without a secret does not start, and says what to do', async () => {
    const flags = ['--region', 'us-east', '--listen', '127.0.0.1:0', '--data-dir', join(directory, 'none')];
    for (const [main, args] of [
      ['services/region/main.js', flags],
      ['services/router/main.js', ['--listen', '127.0.0.1:0']],
    ] as const) {
      const alone = new NodeProcess({ name: 'alone', main, flags: args, env: { TIDAL_INTERNAL_SECRET: '' } });
      await assert.rejects(
        alone.start(),
        /there is no internal secret[\s\S]*openssl rand -base64 32[\s\S]*--insecure-internal/,
      );
      const told = new NodeProcess({
        name: 'told',
        main,
        flags: [...args, '--insecure-internal'],
        env: { TIDAL_INTERNAL_SECRET: '' },
      });
      await told.start();
      await told.end('SIGKILL');
    }
  });

  it('a region with another secret is named in the health of the cluster', async () => {
    await cluster.kill('ap-south');
    const url = new URL(cluster.regionUrls.get('ap-south')!);
    const other = new NodeProcess({
      name: 'ap-south',
      main: 'services/region/main.js',
      flags: [
        ...['--region', 'ap-south', '--listen', url.host, '--topology', join(cluster.directory, 'topology.yaml')],
        ...['--nats', cluster.nats.url, '--data-dir', join(cluster.directory, 'ap-south')],
      ],
      env: { TIDAL_INTERNAL_SECRET: fresh() },
    });
    await other.start();
    try {
      await eventually('it is named', async () => {
        const { body } = await cluster.get<{ status: string; notes: readonly string[] }>('/health');
        return body.status === 'degraded' && body.notes.some((note) => /ap-south.*internal secret/.test(note));
      });
      assert.equal((await cluster.post('/signals', { entity_id: 1, signal: 'view' })).status, 200);
      assert.equal((await cluster.get('/feed?region=ap-south')).status, 503, 'not the 401 of the inner door');
    } finally {
      await other.end('SIGKILL');
      await cluster.restart('ap-south');
      await cluster.settled();
    }
  });

  it('the data directory of a region is its owner’s alone', () => {
    for (const [path, mode] of [
      ['us-east', 0o700],
      ['us-east/data.mdb', 0o600],
    ] as const) {
      assert.equal(statSync(join(cluster.directory, path)).mode & 0o777, mode, path);
    }
  });
});
