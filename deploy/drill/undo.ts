/**
 * What a drill has done to a cluster and has to undo. A fault is noted before it is requested, because a request without an answer
 * may have taken effect. All of it ends by itself too, at a deadline that the cluster keeps, if the drill's process is killed.
 */
import { messageOf } from '../../shared/errors/errors.ts';
import { type Clock, sleep } from '../../shared/kernel/kernel.ts';
import type { Processes, Surface } from './surface.ts';

const ATTEMPTS = 20;
const PAUSE_MS = 1_000;
/** Items that a sentence names. */
const NAMED_LIMIT = 10;

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
      if (!(await this.try(`${process} was not started`, () => processes!.start(process)))) continue;
      this.away.delete(process);
      note(`${process} started again, by the end of the drill`);
    }
    for (const region of [...this.partitioned]) {
      if (!(await this.try(`${region} was not healed`, () => surface.heal(region, false)))) continue;
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

  /** Removes the items that were put to count writes: they are in feeds and searches. */
  async items(entities: readonly number[]): Promise<void> {
    const { surface, clock } = this.options;
    let left = entities;
    for (let attempt = 1; left.length > 0; attempt++) {
      const before = left.length;
      const removal = await surface.removeItems(left);
      left = removal.left;
      if (left.length === 0) return;
      if (left.length < before) attempt = 0;
      if (attempt >= ATTEMPTS) return this.leave(`${itemsOf(left)} not removed: ${removal.why}`);
      await sleep(clock, PAUSE_MS);
    }
  }

  /** Whether it was done, by one of several attempts. */
  private async try(what: string, action: () => Promise<void>): Promise<boolean> {
    for (let attempt = 1; ; attempt++) {
      try {
        await action();
        return true;
      } catch (error) {
        if (attempt >= ATTEMPTS) {
          this.leave(`${what}: ${messageOf(error)}`);
          return false;
        }
      }
      await sleep(this.options.clock, PAUSE_MS);
    }
  }

  private leave(what: string): void {
    this.left.push(what);
    this.options.note(what);
  }
}

function itemsOf(ids: readonly number[]): string {
  const sorted = ids.toSorted((a, b) => a - b);
  const more = sorted.length > NAMED_LIMIT ? ` to ${sorted.at(-1)}, ${sorted.length} in all,` : '';
  return `items ${sorted.slice(0, NAMED_LIMIT).join(', ')}${more} were`;
}
