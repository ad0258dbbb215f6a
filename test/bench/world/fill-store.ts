/**
 * Fills a region's data directory with a world, in processes of their own: the store (`build-store.ts`) and, beside it, the
 * graph of its embeddings (`build-graph.ts`).
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { watchChild } from '../../harness/processes/children-watch.ts';
import type { BuiltStore } from './build-store.ts';
import type { WorldSize } from './world.ts';

export interface FillOptions {
  /** The data directory; created. */
  readonly directory: string;
  readonly schemaFile: string;
  readonly size: WorldSize;
  /** Events after the checkpoint, besides. */
  readonly since: number;
}

/** Resolves when the process that filled it was killed, with what it said before. */
export async function fillStore(options: FillOptions): Promise<BuiltStore> {
  const [built] = await Promise.all([
    run('build-store.js', [JSON.stringify(options)], 'SIGKILL'),
    run('build-graph.js', [join(options.directory, 'vectors'), JSON.stringify(options.size)], null),
  ]);
  return JSON.parse(built) as BuiltStore;
}

/** Returns what it printed. `end`: the signal it is to end by; null: with exit code 0. */
async function run(script: string, args: readonly string[], end: NodeJS.Signals | null): Promise<string> {
  const child = spawn(process.execPath, [fileURLToPath(new URL(script, import.meta.url)), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  watchChild(script, child);
  let printed = '';
  child.stdout.on('data', (data: Buffer) => {
    printed += data.toString();
  });
  await once(child, 'close');
  if (child.signalCode !== end || (child.exitCode ?? 0) !== 0)
    throw new Error(`${script} failed: ${child.signalCode ?? child.exitCode} ${printed}`);
  return printed;
}
