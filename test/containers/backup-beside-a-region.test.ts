/** Backup and restore from a container of their own, on the volume of a region's. */
import assert from 'node:assert/strict';
import { buildLimitMs, docker, dockerEnded, image, needDocker } from '../harness/containers/docker.ts';
import { eventually } from '../harness/kernel/eventually.ts';

describe('backup and restore in containers', function () {
  this.timeout(120_000);
  const volume = `tidal-test-backup-${process.pid}`;
  const store = `${volume}-file`;
  let name: string;
  let region = '';

  before(async function () {
    this.timeout(buildLimitMs);
    await needDocker(this);
    name = await image();
    await docker(['volume', 'create', volume]);
    await docker(['volume', 'create', store]);
  });
  after(async () => {
    if (region !== '') await dockerEnded(['rm', '--force', region]);
    await dockerEnded(['volume', 'rm', '--force', volume, store]);
  });

  const beside = (init: readonly string[], ...command: readonly string[]) =>
    dockerEnded([
      ...['run', '--rm', ...init, '--network', 'none'],
      ...['--volume', `${volume}:/data`, '--volume', `${store}:/home/node`, name, ...command],
    ]);

  // Without an init process both programs have process id 1 in their container: LMDB's table of readers alone does not
  // distinguish them.
  for (const init of [[], ['--init']] as const) {
    it(`a running region's volume is refused${init.length > 0 ? '' : ', also under the same process number'}`, async () => {
      const run = [
        'run',
        '--detach',
        '--network',
        'none',
        '--env',
        'TIDAL_REGION=us-east',
        '--env',
        'TIDAL_INSECURE_INTERNAL=1',
      ];
      region = (await docker([...run, '--volume', `${volume}:/data`, name, 'region'])).trim();
      await eventually('it runs', async () => (await docker(['logs', region])).includes('listening on'), 30_000);
      const taken = await beside(init, 'backup', '--region', 'us-east', '--to', '/tmp/it', '--data-dir', '/data');
      assert.match(taken.output, /\/data is in use by/);
      assert.equal(taken.exitCode, 2);
      assert.equal((await docker(['inspect', '--format', '{{.State.Running}}', region])).trim(), 'true');
      await docker(['rm', '--force', region]);
      region = '';
    });
  }

  it('a stopped one is backed up, checked, and restored in its place', async () => {
    const file = '/home/node/it';
    for (const command of [
      ['backup', '--region', 'us-east', '--to', file, '--data-dir', '/data'],
      ['backup', 'verify', '--from', file],
      ['restore', '--from', file, '--data-dir', '/data', '--replace'],
    ]) {
      const { exitCode, output } = await beside([], ...command);
      assert.equal(exitCode, 0, output);
    }
  });
});
