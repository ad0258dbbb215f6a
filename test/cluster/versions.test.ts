/**
 * Processes of other versions in one cluster. They run from copies of the build: one that speaks a later protocol only, and one
 * that states no version, as before versions were stated.
 */
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { internalHeaders } from '../harness/clients/internal.ts';
import { requestJson } from '../harness/clients/request-json.ts';
import { eventually } from '../harness/kernel/eventually.ts';
import { Cluster } from '../harness/processes/cluster.ts';

/** A copy of the build with its statement of versions changed; the path of a program's main in it. */
function otherBuild(edits: Readonly<Record<string, readonly (readonly [string, string])[]>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'tidal-version-'));
  for (const part of ['services', 'shared']) cpSync(join('dist', part), join(folder, part), { recursive: true });
  for (const part of ['package.json', 'services/router/console/static'])
    cpSync(part, join(folder, part), { recursive: true });
  symlinkSync(resolve('node_modules'), join(folder, 'node_modules'));
  for (const [file, pairs] of Object.entries(edits)) {
    let code = readFileSync(join(folder, file), 'utf8');
    for (const [before, after] of pairs) {
      assert.ok(code.includes(before), `${file} has ${before}`);
      code = code.replaceAll(before, after);
    }
    writeFileSync(join(folder, file), code);
  }
  return folder;
}

const laterProtocol = {
  'shared/protocol/version.js': [
    ["PROGRAM_VERSION = '0.1.0'", "PROGRAM_VERSION = '9.0.0'"],
    ['PROTOCOLS = { oldest: 1, newest: 2 }', 'PROTOCOLS = { oldest: 3, newest: 4 }'],
  ],
} as const;

const noStatement = {
  'services/region/region-status.js': [['version: OWN_VERSION,', '']],
  'shared/region-client/http-region-client.js': [
    ['versionHeader = { [VERSION_HEADER]: formatVersion(OWN_VERSION) }', 'versionHeader = {}'],
  ],
} as const;

describe('versions in one cluster', function () {
  this.timeout(120_000);
  let later: string;
  let former: string;
  let cluster: Cluster;

  before(async () => {
    later = otherBuild(laterProtocol);
    former = otherBuild(noStatement);
    // us-east and the router are this version; eu-west states none.
    cluster = await Cluster.start({ mains: { 'eu-west': { main: join(former, 'services/region/main.js'), env: {} } } });
  });
  after(async () => {
    await cluster?.stop();
    for (const folder of [later, former]) if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });

  const versions = async (): Promise<unknown> => {
    const { body } = await cluster.get<{ version: string; regions: { name: string; version: string | null }[] }>(
      '/cluster/status',
    );
    return [body.version, ...body.regions.map(({ version }) => version)];
  };

  it('a region that states no version works with the others, as follower and as leader', async () => {
    assert.deepEqual(await versions(), ['0.1.0', '0.1.0', null, '0.1.0']);
    const signal = { entity_id: 1, signal: 'view' };
    assert.equal((await cluster.post('/signals', signal)).status, 200);
    assert.equal((await cluster.post('/cluster/promote', { region: 'eu-west' })).status, 200);
    assert.equal((await cluster.post('/signals', signal)).status, 200);
    await cluster.converged();
    assert.equal((await cluster.post('/cluster/promote', { region: 'us-east' })).status, 200);
  });

  it('while a region states no version, nothing is taken back: the refusal names it', async () => {
    const send = (method: string) =>
      requestJson<{ code?: string; detail?: string }>(`${cluster.url}/signals`, {
        method,
        headers: { 'content-type': 'application/json', 'idempotency-key': 'k' },
        body: '{"entity_id":1,"signal":"like"}',
      });
    assert.equal((await send('POST')).status, 200);
    const { status, body } = await send('DELETE');
    assert.deepEqual([status, body.code], [503, 'version_mismatch']);
    assert.match(body.detail ?? '', /^eu-west runs an earlier version, which does not know retractions$/);
  });

  it('a region of a protocol that is not spoken is not used, named in /health; the others continue', async () => {
    await cluster.process('ap-south').end('SIGTERM');
    const other = cluster.process('ap-south').withMain(join(later, 'services/region/main.js'));
    await other.start();
    try {
      await eventually('/health names the versions', async () => {
        const { body } = await cluster.get<{ status: string; notes: string[] }>('/health');
        const note = /^ap-south: .* version 0\.1\.0, which speaks protocol 1 to 2; version 9\.0\.0 here speaks 3 to 4$/;
        return body.status === 'degraded' && body.notes.some((text) => note.test(text));
      });
      assert.equal((await cluster.post('/signals', { entity_id: 2, signal: 'view' })).status, 200);
      assert.equal((await cluster.get('/feed?profile=new&region=eu-west')).status, 200);
      assert.equal((await cluster.post('/cluster/promote', { region: 'ap-south' })).status, 409);
      // What it answers to a request of this version, whatever it is: nothing is half understood.
      const headers = { ...internalHeaders, 'x-tidal-version': '0.1.0 1-1', 'content-type': 'application/json' };
      const before = (await cluster.status()).relay_log_len;
      for (const [method, path, body] of [
        ['GET', '/internal/status', undefined],
        ['POST', '/internal/writes', '{"epoch":9,"atomic":false,"writes":[{"k":"d","e":1}]}'],
        ['GET', '/feed?profile=new', undefined],
      ] as const) {
        const answer = await requestJson<{ code: string }>(cluster.regionUrls.get('ap-south')! + path, {
          method,
          headers,
          ...(body === undefined ? {} : { body }),
        });
        assert.deepEqual([answer.status, answer.body.code], [503, 'version_mismatch'], path);
      }
      assert.equal((await cluster.status()).relay_log_len, before);
    } finally {
      await other.end('SIGTERM');
    }
    await cluster.restart('ap-south');
    await cluster.settled();
    await cluster.converged();
  });

  it('a router of a protocol that the regions do not speak serves nothing, and says which versions', async () => {
    await cluster.process('router').end('SIGTERM');
    const other = cluster.process('router').withMain(join(later, 'services/router/main.js'));
    await other.start();
    try {
      await eventually('/health names the versions', async () => {
        const { body } = await cluster.get<{ status: string; notes: string[] }>('/health');
        const note = /version 9\.0\.0, which speaks protocol 3 to 4; version 0\.1\.0 here speaks 1 to 2/;
        return body.status === 'unavailable' && body.notes.some((text) => note.test(text));
      });
      assert.equal((await cluster.post('/signals', { entity_id: 2, signal: 'view' })).status, 503);
    } finally {
      await other.end('SIGTERM');
    }
    await cluster.restart('router');
    await cluster.settled();
  });
});
