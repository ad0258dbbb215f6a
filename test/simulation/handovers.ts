/**
 * Planned promotions leave nothing behind: when the record names the new leader, it has on its disk what the old one has of the
 * old epoch, and no disk gets anything of that epoch afterwards - unless an older copy of the bucket is restored: one from before
 * a promotion reverts the promotion, and one from a handover that was rolled back since reverts the roll-back.
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
  /** The last record that was written, and the epochs that a handover it had ended may still begin, after a copy brought it back. */
  private latest: Leadership | undefined;
  private readonly broughtBack = new Set<number>();

  constructor(nowMs: () => number) {
    this.nowMs = nowMs;
  }

  /** `lacking` answers what the leader of this record lacks of the epoch before. */
  recorded(record: Leadership, lacking: () => string | undefined): void {
    const { epoch } = record;
    this.latest = record;
    if (this.recordedMs.has(epoch)) return;
    this.recordedMs.set(epoch, this.nowMs());
    const lacks = this.broughtBack.has(epoch) ? undefined : lacking();
    if (lacks !== undefined) this.lacked.set(epoch - 1, lacks);
  }

  /** What the bucket has after a loss. */
  bucketHas(record: Leadership | undefined): void {
    for (const epoch of this.recordedMs.keys()) if (epoch > (record?.epoch ?? 0)) this.lost.add(epoch);
    const handover = record?.handover?.id;
    if (record !== undefined && handover !== undefined && handover !== this.latest?.handover?.id) {
      this.broughtBack.add(record.epoch + 1);
    }
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
