/** The trace of a run, as readable lines and as one hash that distinguishes two runs. */
import { createHash, type Hash } from 'node:crypto';

export class Trace {
  private readonly nowMs: () => number;
  private readonly keep: number;
  private readonly sum: Hash = createHash('sha256');
  private kept: string[] = [];

  /** Keeps at least the last `keep` lines. */
  constructor(nowMs: () => number, keep: number) {
    this.nowMs = nowMs;
    this.keep = keep;
  }

  note(who: string, what: string): void {
    const line = `${this.nowMs().toFixed(3).padStart(10)}  ${who.padEnd(9)} ${what}`;
    this.sum.update(line);
    if (this.keep === 0) return;
    this.kept.push(line);
    if (this.kept.length > 2 * this.keep) this.kept = this.kept.slice(-this.keep);
  }

  get lines(): readonly string[] {
    return this.kept;
  }

  hash(): string {
    return this.sum.copy().digest('hex').slice(0, 16);
  }
}
