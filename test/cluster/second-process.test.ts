/** Two processes on one data directory: whatever happens, one of them writes nothing more, and says so. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openLmdbStore } from '../../services/region/store/lmdb-store.ts';
import { Acknowledged } from '../harness/clients/acknowledged.ts';
import { eventually } from '../harness/kernel/eventually.ts';
import { Cluster } from '../harness/processes/cluster.ts';
import { freePort } from '../harness/processes/nats-server.ts';
import { NodeProcess } from '../harness/processes/node-process.ts';

describe('a second process on a data directory', function () {
  this.timeout(120_000);
  let cluster: Cluster;
  const told = new Acknowledged();

  before(async () => {
    cluster = await Cluster.start();
    for (let n = 0; n < 10; n++) assert.equal(await told.view(cluster, 1 + (n % 5)), 200);
    await cluster.settled();
  });
  after(async () => {
    await cluster?.stop();
  });

  async function secondOn(region: string): Promise<NodeProcess> {
    const schema = fileURLToPath(new URL('../../../deploy/config/default-schema.yaml', import.meta.url));
    return new NodeProcess({
      name: `second ${region}`,
      main: 'services/region/main.js',
      flags: [
        ...['--region', region, '--listen', `127.0.0.1:${await freePort()}`, '--schema', schema],
        ...['--topology', join(cluster.directory, 'topology.yaml'), '--nats', `nats://127.0.0.1:${cluster.nats.port}`],
        ...['--data-dir', join(cluster.directory, region)],
      ],
    });
  }

  it('is refused with exit code 2 and the number of the first, and changes nothing there; the first continues', async () => {
    const directory = join(cluster.directory, 'eu-west');
    mkdirSync(join(directory, 'copy-7'));
    writeFileSync(join(directory, 'copy-7', 'data.mdb'), 'a copy that the first process serves');
    const before = readdirSync(directory).sort();
    const second = await secondOn('eu-west');
    const { pid } = cluster.process('eu-west');
    await assert.rejects(second.start(), new RegExp(`is in use by process ${pid}: stop that region first`));
    assert.equal(await second.end('SIGTERM'), 2);
    assert.deepEqual(readdirSync(directory).sort(), before);
    for (let n = 0; n < 5; n++) assert.equal(await told.view(cluster, 1 + n), 200);
    await told.check(cluster);
    assert.equal(cluster.process('eu-west').pid, pid);
  });

  it('starts at once when the first was killed: nothing is left that would have to be cleaned up', async () => {
    await cluster.kill('eu-west');
    await cluster.restart('eu-west');
    await cluster.settled();
    await told.check(cluster);
  });

  it('that was not noticed and has written: the region ends with exit code 1, says why, and has written nothing after it', async () => {
    const region = cluster.process('ap-south');
    const path = join(cluster.directory, 'ap-south');
    // Opens the environment without asking who else has it open.
    const other = openLmdbStore({ path });
    await other.commit((transaction) => transaction.put('marks', 'second', Buffer.from('"was here"')));
    const written = other.count('batches');
    for (let n = 0; n < 5; n++) assert.equal(await told.view(cluster, 1 + n), 200);
    await eventually('the region ends', () => !region.running, 20_000);
    assert.equal(await region.end('SIGTERM'), 1);
    assert.ok(
      region.lines.some((line) => line.includes('two processes run on one data directory')),
      region.lines.slice(-5).join('\n'),
    );
    assert.equal(other.count('batches'), written);
    await other.close();
    await cluster.restart('ap-south');
    await cluster.settled();
    await told.check(cluster);
  });
});
