/**
 * A heap of nodes: highest bound first, then the highest tie, then the lowest entity, the order of `compareScored`. It uses typed
 * arrays and allocates nothing.
 */

const FIRST_CAPACITY = 256;

export class NodeHeap {
  /** The node that `pop` removed last. */
  bound = 0;
  tie = 0;
  lowest = 0;
  level = 0;
  node = 0;

  private size = 0;
  private bounds = new Float64Array(FIRST_CAPACITY);
  private ties = new Float64Array(FIRST_CAPACITY);
  private lowests = new Float64Array(FIRST_CAPACITY);
  /** level · 2^28 + node. */
  private nodes = new Float64Array(FIRST_CAPACITY);

  clear(): void {
    this.size = 0;
  }

  push(bound: number, tie: number, lowest: number, level: number, node: number): void {
    if (this.size === this.bounds.length) this.grow();
    let at = this.size++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.precedes(bound, tie, lowest, parent)) break;
      this.move(parent, at);
      at = parent;
    }
    this.set(at, bound, tie, lowest, level * NODES + node);
  }

  /** False if the heap is empty. */
  pop(): boolean {
    if (this.size === 0) return false;
    this.bound = this.bounds[0]!;
    this.tie = this.ties[0]!;
    this.lowest = this.lowests[0]!;
    const packed = this.nodes[0]!;
    this.level = Math.floor(packed / NODES);
    this.node = packed - this.level * NODES;
    const last = --this.size;
    if (last === 0) return true;
    const bound = this.bounds[last]!;
    const tie = this.ties[last]!;
    const lowest = this.lowests[last]!;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= last) break;
      if (child + 1 < last && this.nodePrecedes(child + 1, child)) child++;
      if (!this.nodePrecedes(child, last)) break;
      this.move(child, at);
      at = child;
    }
    this.set(at, bound, tie, lowest, this.nodes[last]!);
    return true;
  }

  private nodePrecedes(at: number, other: number): boolean {
    return this.precedes(this.bounds[at]!, this.ties[at]!, this.lowests[at]!, other);
  }

  private precedes(bound: number, tie: number, lowest: number, other: number): boolean {
    const otherBound = this.bounds[other]!;
    if (bound !== otherBound) return bound > otherBound;
    const otherTie = this.ties[other]!;
    return tie > otherTie || (tie === otherTie && lowest < this.lowests[other]!);
  }

  private move(from: number, to: number): void {
    this.set(to, this.bounds[from]!, this.ties[from]!, this.lowests[from]!, this.nodes[from]!);
  }

  private set(at: number, bound: number, tie: number, lowest: number, packed: number): void {
    this.bounds[at] = bound;
    this.ties[at] = tie;
    this.lowests[at] = lowest;
    this.nodes[at] = packed;
  }

  private grow(): void {
    const grown = (present: Float64Array): Float64Array<ArrayBuffer> => {
      const larger = new Float64Array(present.length * 2);
      larger.set(present);
      return larger;
    };
    this.bounds = grown(this.bounds);
    this.ties = grown(this.ties);
    this.lowests = grown(this.lowests);
    this.nodes = grown(this.nodes);
  }
}

const NODES = 2 ** 28;
