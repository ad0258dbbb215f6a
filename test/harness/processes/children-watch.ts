/**
 * A root hook of every test run: a process some suite started and did not end is ended and named as a failure. Without it
 * such a child would keep the run from ever ending.
 */

import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { onInterrupt } from '../../../shared/kernel/ending.ts';

const watched = new Map<ChildProcess, string>();

/** To be called for each child that is expected to run until the suite ends it. */
export function watchChild(name: string, child: ChildProcess): void {
  watched.set(child, name);
  child.once('exit', () => watched.delete(child));
}

/** What an interrupted run ends before it leaves. */
export async function endWatched(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
  await Promise.all(
    [...watched.keys()].map(async (child) => {
      const exited = once(child, 'exit');
      child.kill(signal);
      await exited;
    }),
  );
}

export const mochaHooks = {
  beforeAll(): void {
    onInterrupt(() => endWatched());
  },
  async afterAll(): Promise<void> {
    const left = [...watched];
    await endWatched();
    if (left.length === 0) return;
    throw new Error(`left running by the tests: ${left.map(([{ pid }, name]) => `${name} (${pid})`).join(', ')}`);
  },
};
