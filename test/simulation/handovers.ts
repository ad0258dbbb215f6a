/** Planned promotions leave nothing behind: once the record names the new leader, the old epoch has ended on every disk. */
import type { Leadership } from '../../shared/protocol/leadership.ts';
import { Violation } from './violation.ts';

export class Handovers {
  private readonly nowMs: () => number;
  /** By epoch: when the record of it was first stored, and when something accepted in it reached a disk last. */
  private readonly recordedMs = new Map<number, number>();
  private readonly acceptedMs = new Map<number, number>();
  /** Epochs that ended by a planned promotion. */
  private readonly ended = new Set<number>();

  constructor(nowMs: () => number) {
    this.nowMs = nowMs;
  }

  recorded({ epoch }: Leadership): void {
    if (!this.recordedMs.has(epoch)) this.recordedMs.set(epoch, this.nowMs());
  }

  accepted(epoch: number): void {
    this.acceptedMs.set(epoch, this.nowMs());
    if (this.ended.has(epoch)) this.judge(epoch);
  }

  /** A router says that it handed over to this epoch's leader. */
  over(epoch: number): void {
    this.ended.add(epoch - 1);
    this.judge(epoch - 1);
  }

  private judge(epoch: number): void {
    const endedMs = this.recordedMs.get(epoch + 1);
    const lastMs = this.acceptedMs.get(epoch);
    if (endedMs === undefined || lastMs === undefined || lastMs <= endedMs) return;
    throw new Violation(
      'a planned promotion leaves nothing behind',
      `epoch ${epoch} was handed over at ${endedMs.toFixed(1)} ms, and took a write that was on disk at ${lastMs.toFixed(1)} ms`,
    );
  }
}
