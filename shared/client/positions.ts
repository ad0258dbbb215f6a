/** What a client has written, as the position that its reads wait for. */
import { formatPosition, parsePosition } from '../protocol/position.ts';

/** Terms of leadership that are remembered: an older one is in every region, or its disk is lost. */
const ORIGINS_LIMIT = 4;

export class WrittenPosition {
  /** The origin written to last is the last. */
  private readonly sequences = new Map<string, number>();

  /** Undefined: nothing was written. */
  get text(): string | undefined {
    return this.sequences.size === 0 ? undefined : formatPosition(this.sequences);
  }

  /** Adds the position of a write; what is no position is ignored. */
  add(position: string): void {
    for (const [origin, sequence] of parsePosition(position) ?? []) {
      const highest = Math.max(sequence, this.sequences.get(origin) ?? 0);
      this.sequences.delete(origin);
      this.sequences.set(origin, highest);
    }
    for (const origin of this.sequences.keys()) {
      if (this.sequences.size <= ORIGINS_LIMIT) break;
      this.sequences.delete(origin);
    }
  }

  clear(): void {
    this.sequences.clear();
  }
}
