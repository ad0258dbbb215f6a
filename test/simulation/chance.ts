/**
 * All randomness of a run, from its seed: sfc32. Generators are forked by name, so that one part's draws never affect another's.
 */
import type { Random } from '../../shared/kernel/kernel.ts';

export class Chance implements Random {
  private a: number;
  private b: number;
  private c: number;
  private d = 1;
  private readonly name: string;

  constructor(name: string | number) {
    this.name = String(name);
    const state = [0x9e3779b9, 0x243f6a88, 0xb7e15162];
    for (let index = 0; index < this.name.length; index++) {
      for (let word = 0; word < 3; word++) {
        state[word] = Math.imul(state[word]! ^ (this.name.charCodeAt(index) + word), 0x01000193 + 2 * word);
      }
    }
    [this.a, this.b, this.c] = state as [number, number, number];
    for (let turn = 0; turn < 15; turn++) this.word();
  }

  fork(name: string | number): Chance {
    return new Chance(`${this.name}/${name}`);
  }

  private word(): number {
    const sum = (this.a + this.b + this.d) | 0;
    this.d = (this.d + 1) | 0;
    this.a = this.b ^ (this.b >>> 9);
    this.b = (this.c + (this.c << 3)) | 0;
    this.c = ((this.c << 21) | (this.c >>> 11)) + sum;
    return sum >>> 0;
  }

  /** 0 ≤ n < 1. */
  fraction(): number {
    return this.word() / 2 ** 32;
  }

  between(low: number, high: number): number {
    return low + this.fraction() * (high - low);
  }

  /** An integer, 0 ≤ n < `limit`. */
  below(limit: number): number {
    return Math.floor(this.fraction() * limit);
  }

  chance(probability: number): boolean {
    return this.fraction() < probability;
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)]!;
  }

  weighted<T>(choices: readonly (readonly [T, number])[]): T {
    let left = this.fraction() * choices.reduce((sum, [, weight]) => sum + weight, 0);
    for (const [choice, weight] of choices) {
      left -= weight;
      if (left < 0) return choice;
    }
    return choices.at(-1)![0];
  }

  /** Waiting times of what happens at random times, ms. */
  exponential(meanMs: number): number {
    return -Math.log(1 - this.fraction()) * meanMs;
  }

  bytes(count: number): Uint8Array {
    const bytes = new Uint8Array(count);
    for (let index = 0; index < count; index++) bytes[index] = this.word() >>> 24;
    return bytes;
  }
}
