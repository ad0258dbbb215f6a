/**
 * What a drill has done to a cluster and has to undo. A fault is noted before it is requested, because a request without an answer
 * may have taken effect. All of it ends by itself too, at a deadline that the cluster keeps, if the drill's process is killed.
 */
import { messageOf } from '../../shared/errors/errors.ts';
import { type Clock, sleep } from '../../shared/kernel/kernel.ts';
import type { Processes, Surface } from './surface.ts';

const ATTEMPTS = 20;
const PAUSE_MS = 1_000;

export interface UndoOptions {
  readonly surface: Surface;
  readonly processes: Processes | undefined;
  readonly clock: Clock;
  /** The leader when the drill began. */
  readonly leader: string;
  readonly note: (text: string) => void;
}

export class Undo {
  readonly partitioned = new Set<string>();
  readonly away = new Set<string>();
  /** What could not be undone, one sentence each. */
  readonly left: string[] = [];
  private readonly options: UndoOptions;

  constructor(options: UndoOptions) {
    this.options = options;
  }

  /** Starts processes and heals regions. Failures are kept in `left`. */
  async faults(): Promise<void> {
    const { surface, processes, note } = this.options;
    for (const process of [...this.away]) {
      await this.try(`${process} was not started`, () => processes!.start(process));
      this.away.delete(process);
      note(`${process} started again, by the end of the drill`);
    }
    for (const region of [...this.partitioned]) {
      await this.try(`${region} was not healed`, () => surface.heal(region, false));
      this.partitioned.delete(region);
      note(`${region} healed, by the end of the drill`);
    }
  }

  /** Makes the leader of the beginning the leader again. */
  async leadership(): Promise<void> {
    const { surface, leader, note } = this.options;
    let moved = false;
    await this.try(`${leader} was not made the leader again`, async () => {
      if ((await surface.status()).leader === leader) return;
      await surface.promote(leader, false);
      moved = true;
    });
    if (moved) note(`${leader} leads again, by the end of the drill`);
  }

  private async try(what: string, action: () => Promise<void>): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await action();
      } catch (error) {
        if (attempt >= ATTEMPTS) {
          this.left.push(`${what}: ${messageOf(error)}`);
          return;
        }
      }
      await sleep(this.options.clock, PAUSE_MS);
    }
  }
}
