/**
 * Texts of one field, and who has them. A `Map` of a million texts halts its process for 100 ms and more each time it grows; so
 * beyond some thousands they are spread over many small ones.
 */
import type { Members } from './members.ts';

const WHOLE_LIMIT = 4_096;
const PARTS = 256;

export class ValueTable {
  private parts: Map<string, Members>[] = [new Map()];
  private count = 0;

  /** Number of texts. */
  get size(): number {
    return this.count;
  }

  get(text: string): Members | undefined {
    return this.partOf(text).get(text);
  }

  set(text: string, members: Members): void {
    const part = this.partOf(text);
    const before = part.size;
    part.set(text, members);
    this.count += part.size - before;
    if (this.count > WHOLE_LIMIT && this.parts.length === 1) this.spread();
  }

  delete(text: string): void {
    if (this.partOf(text).delete(text)) this.count--;
  }

  private partOf(text: string): Map<string, Members> {
    return this.parts.length === 1 ? this.parts[0]! : this.parts[partNumber(text)]!;
  }

  private spread(): void {
    const [whole] = this.parts;
    this.parts = Array.from({ length: PARTS }, () => new Map<string, Members>());
    for (const [text, members] of whole!) this.parts[partNumber(text)]!.set(text, members);
  }
}

/** By the first and the last characters: titles begin alike, ids end apart. */
function partNumber(text: string): number {
  const { length } = text;
  let bits = length;
  const head = Math.min(8, length);
  for (let at = 0; at < head; at++) bits = Math.imul(bits ^ text.charCodeAt(at), 0x01000193);
  for (let at = Math.max(head, length - 8); at < length; at++) bits = Math.imul(bits ^ text.charCodeAt(at), 0x01000193);
  return (bits ^ (bits >>> 8) ^ (bits >>> 16) ^ (bits >>> 24)) & (PARTS - 1);
}
