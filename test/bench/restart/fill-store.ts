/** Runs `build-store.ts` in a process of its own; answers when that has been killed, with what it said before. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { BuiltStore } from './build-store.ts';

export interface FillOptions {
  /** Of the LMDB environment; created. */
  readonly directory: string;
  readonly items: number;
  /** Signals before the checkpoint, and events after it. */
  readonly past: number;
  readonly since: number;
  readonly seed: number;
}

export async function fillStore({ directory, items, past, since, seed }: FillOptions): Promise<BuiltStore> {
  const script = fileURLToPath(new URL('./build-store.js', import.meta.url));
  const child = spawn(process.execPath, [script, directory, ...[items, past, since, seed].map(String)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let printed = '';
  child.stdout.on('data', (data: Buffer) => {
    printed += data.toString();
  });
  await once(child, 'close');
  if (child.signalCode !== 'SIGKILL') throw new Error(`the store was not filled: ${child.exitCode} ${printed}`);
  return JSON.parse(printed) as BuiltStore;
}
