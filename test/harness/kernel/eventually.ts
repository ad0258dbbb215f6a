/** Waits for a condition that something outside this process decides, by looking again, within a bound. */
import { setTimeout as pause } from 'node:timers/promises';

/** Resolves when `holds()`; fails naming `what` after `limitMs`. An exception of `holds` counts as not yet. */
export async function eventually(
  what: string,
  holds: () => boolean | Promise<boolean>,
  limitMs = 10_000,
): Promise<void> {
  const end = performance.now() + limitMs;
  let last: unknown;
  for (;;) {
    try {
      if (await holds()) return;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (performance.now() > end) throw new Error(`not within ${limitMs} ms: ${what}`, { cause: last });
    await pause(20);
  }
}
