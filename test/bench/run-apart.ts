/**
 * Runs one benchmark in a process of its own, with its node flags: no heap, no compiled code and no thread of another one
 * beside it. Progress goes to stderr, the result back over the process channel.
 */

import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { watchChild } from '../harness/processes/children-watch.ts';
import type { BenchResult, BenchSettings } from './bench.ts';

export function runApart(name: string, nodeFlags: readonly string[], settings: BenchSettings): Promise<BenchResult> {
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(new URL('./run-one.js', import.meta.url)), [name, JSON.stringify(settings)], {
      execArgv: [...process.execArgv, ...nodeFlags],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    watchChild(`benchmark ${name}`, child);
    let result: BenchResult | undefined;
    child.on('message', (message) => {
      result = message as BenchResult;
    });
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      if (code === 0 && result !== undefined) resolve(result);
      else reject(new Error(`it ended with ${signal ?? code}${result === undefined ? ' and no result' : ''}`));
    });
  });
}
