/**
 * `npm run sim` and `npm run sim:mutants` end when they are interrupted, report what they know by then, and leave nothing behind.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { watchChild } from '../harness/processes/children-watch.ts';

const here = dirname(fileURLToPath(import.meta.url));

interface Command {
  readonly child: ChildProcess;
  /** What it has printed. */
  readonly text: () => string;
  printed(what: RegExp): Promise<void>;
}

/** In a process group of its own, as a terminal starts it. */
function start(file: string, ...flags: string[]): Command {
  const child = spawn(process.execPath, [join(here, file), ...flags], {
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  watchChild(file, child);
  let text = '';
  child.stdout!.setEncoding('utf8').on('data', (more: string) => {
    text += more;
  });
  const printed = async (what: RegExp): Promise<void> => {
    while (!what.test(text)) await once(child.stdout!, 'data');
  };
  return { child, text: () => text, printed };
}

async function interrupted({ child }: Command): Promise<number | null> {
  const ended = once(child, 'exit');
  process.kill(-child.pid!, 'SIGINT');
  const [code] = (await ended) as [number | null];
  return code;
}

/** Whether any process is left in the group. */
function groupLives(pid: number): boolean {
  try {
    process.kill(-pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function groupEnds(pid: number): Promise<void> {
  const endMs = performance.now() + 10_000;
  while (groupLives(pid)) {
    assert.ok(performance.now() < endMs, 'a worker outlives its command');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describe('commands of the simulation', function () {
  this.timeout(60_000);

  it('interrupted, it says what it has found so far, and no seed counts as failed for it', async () => {
    const command = start('main.js', '--seeds', '1000000', '--first', '1', '--jobs', '1');
    await command.printed(/ms of processor a seed/);
    assert.equal(await interrupted(command), 130);
    assert.match(command.text(), /interrupted: \d+ seeds, .* 0 failed\n$/);
    await groupEnds(command.child.pid!);
  });

  it('interrupted, the search for mutants leaves no copies of the build behind', async () => {
    const command = start('mutants-main.js', '--only', 'does not repair', '--jobs', '1');
    await command.printed(/1 mutants, 3 searches/);
    const copies = join(here, '..', '..', '.mutants');
    assert.ok(existsSync(copies));
    assert.equal(await interrupted(command), 130);
    assert.equal(existsSync(copies), false);
    await groupEnds(command.child.pid!);
  });
});
