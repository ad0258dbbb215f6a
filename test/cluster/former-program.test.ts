/**
 * A rolling upgrade with the former program itself: the last commit before a change of the store's format, built in a temporary
 * directory. Both versions run in one cluster; regions are upgraded one after another, the leader last, then the router; and the
 * former program refuses a store that was upgraded. Skipped, with a line that says so, in a clone without that commit.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { eventually } from '../harness/kernel/eventually.ts';
import { Cluster } from '../harness/processes/cluster.ts';
import type { NodeProcess } from '../harness/processes/node-process.ts';

/** The last commit whose store has format 1. */
const FORMER = '3447fd12';

function formerBuild(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tidal-former-'));
  const archive = execFileSync('git', ['archive', FORMER], { maxBuffer: 2 ** 30 });
  execFileSync('tar', ['-x', '-C', folder], { input: archive });
  symlinkSync(resolve('node_modules'), join(folder, 'node_modules'));
  const config = { extends: './tsconfig.json', include: ['services', 'shared'], compilerOptions: { sourceMap: false } };
  writeFileSync(join(folder, 'tsconfig.former.json'), JSON.stringify(config));
  const tsc = resolve('node_modules/typescript/bin/tsc');
  execFileSync(process.execPath, [tsc, '-p', 'tsconfig.former.json'], { cwd: folder, encoding: 'utf8' });
  return join(folder, 'dist');
}

function historyFlaw(): string | undefined {
  try {
    execFileSync('git', ['cat-file', '-e', `${FORMER}^{commit}`], { stdio: 'pipe' });
    return undefined;
  } catch (error) {
    return `the commit ${FORMER} is not in the history here: ${String((error as Error).message).split('\n')[0]}`;
  }
}

describe('a rolling upgrade from the program before', function () {
  this.timeout(600_000);
  let build: string | undefined;
  let cluster: Cluster | undefined;
  const upgraded: NodeProcess[] = [];

  before(async function () {
    const flaw = historyFlaw();
    if (flaw !== undefined) {
      // A clone without history is right for everything else.
      console.log(`      SKIPPED: ${flaw}`);
      this.skip();
    }
    build = formerBuild();
    const region = { main: join(build, 'services/region/main.js'), env: {} };
    const router = { main: join(build, 'services/router/main.js'), env: {} };
    cluster = await Cluster.start({ mains: { 'us-east': region, 'eu-west': region, 'ap-south': region, router } });
  });
  after(async () => {
    for (const one of upgraded) await one.end('SIGTERM');
    await cluster?.stop();
    if (build !== undefined) rmSync(join(build, '..'), { recursive: true, force: true });
  });

  it('writes continue at every step, all regions have the same state, and there is no way back', async () => {
    const of = (name: string): NodeProcess => cluster!.process(name);
    let written = 0;
    const write = async (): Promise<void> => {
      for (let count = 0; count < 5; count++) {
        const entity_id = ++written;
        const item = await cluster!.post('/items', { entity_id, metadata: { title: `item ${entity_id}` } });
        assert.equal(item.status, 200, JSON.stringify(item.body));
        assert.equal((await cluster!.post('/signals', { entity_id, signal: 'view' })).status, 200);
      }
      await cluster!.converged();
    };
    await write();
    for (const name of ['ap-south', 'eu-west', 'us-east']) {
      const former = of(name);
      if (name === 'us-east')
        assert.equal((await cluster!.post('/cluster/promote', { region: 'eu-west' })).status, 200);
      await former.end('SIGTERM');
      const present = former.withMain('services/region/main.js');
      await present.start();
      await eventually(`${name} is ready`, async () => (await cluster!.region(name, '/health/ready')).status === 200);
      assert.ok(present.lines.some((line) => line.includes('every row of the store has a checksum now')));
      await write();
      await present.end('SIGTERM');
      await assert.rejects(former.start(), /the store has the format 2; version [\d.]+ knows those up to 1/);
      await former.end('SIGKILL');
      await present.start();
      await eventually(`${name} is ready`, async () => (await cluster!.region(name, '/health/ready')).status === 200);
      upgraded.push(present);
      await write();
    }
    await of('router').end('SIGTERM');
    const router = of('router').withMain('services/router/main.js');
    await router.start();
    upgraded.push(router);
    await write();
  });
});
