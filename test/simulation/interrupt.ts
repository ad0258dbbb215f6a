/**
 * What a command still has to do when it is told to end before its time. Its processes end with it: a worker that a
 * terminal interrupts as well goes on until its parent is gone (`worker.ts`).
 */
const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const;

export function onInterrupt(act: () => void): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      act();
      process.exit(EXIT_CODES[signal]);
    });
  }
}
