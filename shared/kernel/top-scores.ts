/** The best of many: a heap of at most `limit`, the worst on top. Higher scores first, ties by ascending entity. */

export interface Scored {
  readonly entity: number;
  readonly score: number;
}

/** Negative when `a` comes before `b`. */
export function compareScored(a: Scored, b: Scored): number {
  return a.score === b.score ? a.entity - b.entity : b.score - a.score;
}

export class TopScores {
  private readonly limit: number;
  private readonly heap: Scored[] = [];

  /** `limit` ≥ 1. */
  constructor(limit: number) {
    this.limit = limit;
  }

  /** Whether the next one that is kept takes the place of another. */
  get isFull(): boolean {
    return this.heap.length === this.limit;
  }

  /** Whether `add` would keep it. */
  takes(entity: number, score: number): boolean {
    if (this.heap.length < this.limit) return true;
    const worst = this.heap[0]!;
    return score > worst.score || (score === worst.score && entity < worst.entity);
  }

  /** The one that the next better one replaces; undefined while there is room. */
  get worst(): Scored | undefined {
    return this.heap.length < this.limit ? undefined : this.heap[0];
  }

  add(entity: number, score: number): void {
    const { heap } = this;
    if (heap.length < this.limit) {
      heap.push({ entity, score });
      this.rise(heap.length - 1);
      return;
    }
    const worst = heap[0]!;
    if (score < worst.score || (score === worst.score && entity > worst.entity)) return;
    heap[0] = { entity, score };
    this.sink();
  }

  /** Best first. */
  sorted(): Scored[] {
    return [...this.heap].sort(compareScored);
  }

  private rise(from: number): void {
    const { heap } = this;
    for (let at = from; at > 0; ) {
      const parent = (at - 1) >> 1;
      if (compareScored(heap[at]!, heap[parent]!) <= 0) return;
      this.swap(at, parent);
      at = parent;
    }
  }

  private sink(): void {
    const { heap } = this;
    for (let at = 0; ; ) {
      const left = 2 * at + 1;
      if (left >= heap.length) return;
      const right = left + 1;
      const child = right < heap.length && compareScored(heap[right]!, heap[left]!) > 0 ? right : left;
      if (compareScored(heap[child]!, heap[at]!) <= 0) return;
      this.swap(at, child);
      at = child;
    }
  }

  private swap(a: number, b: number): void {
    const held = this.heap[a]!;
    this.heap[a] = this.heap[b]!;
    this.heap[b] = held;
  }
}
