/** `npm run nemesis`, interrupted: of all it has started nothing is left. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventually } from '../harness/kernel/eventually.ts';
import { processesOf } from '../harness/processes/processes-of.ts';

describe('the nemesis, interrupted', function () {
  this.timeout(60_000);

  it('ends its regions, routers and nats-server, and leaves with the code of the signal', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tidal-interrupted-'));
    const main = fileURLToPath(new URL('../nemesis/main.js', import.meta.url));
    const nemesis = spawn(process.execPath, [main, '--minutes', '1', '--seed', '1'], {
      stdio: 'ignore',
      env: { ...process.env, TMPDIR: folder },
    });
    try {
      const begun = (): boolean => processesOf(folder).length >= 4 || nemesis.exitCode !== null;
      await eventually('it has started processes', begun, 40_000);
      nemesis.kill('SIGTERM');
      const [code] = await once(nemesis, 'exit');
      assert.equal(code, 143);
      await eventually('nothing of it is left', () => processesOf(folder).length === 0, 10_000);
    } finally {
      nemesis.kill('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
