/** The command line `tidal` as a process: what it prints and how it ends. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { watchChild } from '../processes/children-watch.ts';

const main = fileURLToPath(new URL('../../../deploy/tidal/main.js', import.meta.url));

export interface TidalCommand {
  readonly child: ChildProcess;
  /** What it has printed until now; `text`: both outputs in their order. */
  readonly said: { readonly stdout: string; readonly stderr: string; readonly text: string };
  /** Resolves when it has ended. Null: by a signal. */
  readonly done: Promise<{
    readonly code: number | null;
    readonly stdout: string;
    readonly stderr: string;
    readonly text: string;
  }>;
}

export function startTidal(args: readonly string[], environment: Readonly<Record<string, string>>): TidalCommand {
  const child = spawn(process.execPath, [main, ...args], {
    env: { ...process.env, NO_COLOR: '1', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  watchChild('tidal', child);
  const said = { stdout: '', stderr: '', text: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      said[name] += text;
      said.text += text;
    });
  }
  return { child, said, done: once(child, 'close').then(() => ({ code: child.exitCode, ...said })) };
}
