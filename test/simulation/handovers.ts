/**
 * Planned promotions leave nothing behind: when the record names the new leader, it has on its disk what the old one has of the
 * old epoch, and no disk gets anything of that epoch afterwards - unless the record is lost with the bucket: whoever puts back a
 * copy that was made before a promotion takes the promotion back.
 */
import type { Leadership } from '../../shared/leadership/leadership.ts';
import { Violation } from './violation.ts';

export class Handovers {
  private readonly nowMs: () => number;
  /** By epoch: when the record of it was first stored, and when something accepted in it reached a disk last. */
  private readonly recordedMs = new Map<number, number>();
  private readonly acceptedMs = new Map<number, number>();
  /** By epoch: what the leader of the next one lacked when the record named it. */
  private readonly lacked = new Map<number, string>();
  /** Epochs that ended by a planned promotion. */
  private readonly ended = new Set<number>();

  /** The bucket lost the records of these epochs after they were stored. */
  private readonly lost = new Set<number>();

  constructor(nowMs: () => number) {
    this.nowMs = nowMs;
  }

  /** `lacking` answers what the leader of this record lacks of the epoch before. */
  recorded({ epoch }: Leadership, lacking: () => string | undefined): void {
    if (this.recordedMs.has(epoch)) return;
    this.recordedMs.set(epoch, this.nowMs());
    const lacks = lacking();
    if (lacks !== undefined) this.lacked.set(epoch - 1, lacks);
  }

  /** What the bucket has after a loss; 0: no record. */
  bucketHas(newestEpoch: number): void {
    for (const epoch of this.recordedMs.keys()) if (epoch > newestEpoch) this.lost.add(epoch);
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
    const lacked = this.lacked.get(epoch);
    if (lacked !== undefined) throw new Violation('a planned promotion leaves nothing behind', lacked);
    if (this.lost.has(epoch + 1)) return;
    if (endedMs === undefined || lastMs === undefined || lastMs <= endedMs) return;
    throw new Violation(
      'a planned promotion leaves nothing behind',
      `epoch ${epoch} was handed over at ${endedMs.toFixed(1)} ms, and took a write that was on disk at ${lastMs.toFixed(1)} ms`,
    );
  }
}
