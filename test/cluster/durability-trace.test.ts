/**
 * When a commit's promise resolves its data is on the disk: shown by a trace of the system calls, because a killed
 * process cannot show it (the page cache survives the process).
 *
 * Per commit, in this order: data pages are written, `fdatasync` on the data file returns, the meta page is written
 * through a descriptor opened with O_DSYNC, and only then the program says "resolved", by a system call of its own.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseTrace, type TracedCall } from '../harness/processes/system-calls.ts';

const program = fileURLToPath(new URL('../harness/processes/writing-child.js', import.meta.url));
const commits = 20;
const calls = 'openat,write,writev,pwrite64,pwritev,pwritev2,fdatasync,fsync';

/** Undefined with a reason when this machine cannot trace. */
function trace(directory: string): readonly TracedCall[] | { readonly cannot: string } {
  const file = join(directory, 'trace');
  const child = [process.execPath, program, join(directory, 'store'), String(commits)];
  const { error, status, stderr } = spawnSync('strace', ['-f', '-e', `trace=${calls}`, '-o', file, ...child], {
    encoding: 'utf8',
    timeout: 15_000,
  });
  if (error !== undefined) return { cannot: `strace cannot be run: ${error.message}` };
  if (status !== 0) {
    if (/ptrace|Operation not permitted/i.test(stderr)) return { cannot: `strace may not trace: ${stderr.trim()}` };
    throw new Error(`the traced program ended with ${status}: ${stderr}`);
  }
  return parseTrace(readFileSync(file, 'utf8'));
}

describe('durability trace', () => {
  it('a commit resolves after its data is synced and its meta page was written through O_DSYNC', function () {
    const directory = mkdtempSync(join(tmpdir(), 'tidal-trace-'));
    try {
      const traced = trace(directory);
      if ('cannot' in traced) {
        if (process.env.CI !== undefined) assert.fail(traced.cannot);
        console.log(`      NOT SHOWN HERE, ${traced.cannot}`);
        return this.skip();
      }
      const opened = traced.filter(({ name, text }) => name === 'openat' && text.includes('data.mdb'));
      const meta = opened.find(({ text }) => text.includes('O_DSYNC'))?.result;
      const data = opened.findLast(({ text, result }) => text.includes('O_RDWR') && result !== meta)?.result;
      assert.ok(meta !== undefined && data !== undefined, 'the data file is opened twice, once with O_DSYNC');

      let resolved = 0;
      let stage: 'nothing' | 'written' | 'synced' | 'meta' = 'nothing';
      for (const { name, text, descriptor, result } of traced) {
        if (name === 'write' && descriptor === 1 && text.includes('resolved')) {
          resolved++;
          assert.equal(stage, 'meta', `commit ${resolved} resolved while its stage was: ${stage}`);
          stage = 'nothing';
        } else if (/write/.test(name) && descriptor === data) {
          stage = 'written';
        } else if (name === 'fdatasync' && descriptor === data) {
          assert.equal(result, 0);
          if (stage === 'written') stage = 'synced';
        } else if (/write/.test(name) && descriptor === meta && stage === 'synced') {
          stage = 'meta';
        }
      }
      assert.equal(resolved, commits);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
