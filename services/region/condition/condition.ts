/** Waiting for a condition without polling: every `notify` makes the waiters check again. */
import type { Clock } from '../../../shared/kernel/kernel.ts';

export class Condition {
  private readonly waiters = new Set<() => void>();
  private readonly clock: Clock;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  notify(): void {
    for (const look of [...this.waiters]) look();
  }

  /** True once `holds()`; false when `limitMs` passed first. `holds` is evaluated now and at every notify. */
  until(holds: () => boolean, limitMs: number): Promise<boolean> {
    if (holds()) return Promise.resolve(true);
    return new Promise((resolve, reject) => {
      const end = (result: () => void): void => {
        timer.cancel();
        this.waiters.delete(look);
        result();
      };
      const look = (): void => {
        try {
          if (holds()) end(() => resolve(true));
        } catch (error) {
          end(() => reject(error));
        }
      };
      const timer = this.clock.after(limitMs, () => end(() => resolve(false)));
      this.waiters.add(look);
    });
  }
}
