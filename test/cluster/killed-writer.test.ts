/** kill -9 of a process that is writing: every commit that it reported as resolved exists, and none exists in part. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openLmdbStore } from '../../services/region/store/lmdb-store.ts';
import { childBytes, childOrigin } from '../harness/processes/writing-child.ts';

const program = fileURLToPath(new URL('../harness/processes/writing-child.js', import.meta.url));

/** Kills the child once it has reported `lines` commits; returns the last one that it reported. */
async function killAfter(child: ChildProcess, lines: number): Promise<number> {
  let said = '';
  child.stdout!.setEncoding('utf8').on('data', (chunk: string) => {
    said += chunk;
    if (said.split('\n').length > lines) child.kill('SIGKILL');
  });
  await once(child, 'close');
  assert.equal(child.signalCode, 'SIGKILL', 'it was killed while it was writing');
  return Number(/resolved (\d+)\n[^\n]*$/.exec(said)?.[1]);
}

describe('killed writer', () => {
  for (const lines of [1, 7, 40, 150]) {
    it(`kill -9 after ${lines} resolved commits loses none of them and leaves none in part`, async () => {
      const path = mkdtempSync(join(tmpdir(), 'tidal-killed-'));
      const child = spawn(process.execPath, [program, path, '1000000'], { stdio: ['ignore', 'pipe', 'inherit'] });
      const resolved = await killAfter(child, lines);
      assert.ok(resolved >= lines);
      const store = openLmdbStore({ path });
      const last = Number(Buffer.from(store.get('marks', 'last')!).toString());
      // One more may have been committed than was said.
      assert.ok(last === resolved || last === resolved + 1, `said ${resolved}, there ${last}`);
      const batches = [...store.range('batches', {})];
      assert.equal(batches.length, last);
      for (const [index, { key, value }] of batches.entries()) {
        assert.deepEqual(key, [childOrigin, index + 1]);
        assert.equal(Buffer.compare(value, childBytes(index + 1)), 0);
      }
      assert.deepEqual(
        [...store.range('items', {})].map(({ key }) => key),
        Array.from({ length: last }, (_, index) => index + 1),
      );
      await store.close();
      rmSync(path, { recursive: true, force: true });
    });
  }
});
