/**
 * Clients that write all the time, through several routers in turn, at a bounded rate. Each has an entity of its own. Some send
 * every write under an idempotency key, and repeat it through the next router until it is answered: those count exactly once. The
 * others send once; writes with an unknown outcome may count once or not at all.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { eventually } from '../kernel/eventually.ts';
import { Acknowledged, sendView, type Told } from './acknowledged.ts';

/** How long a keyed write is sent again after `stop`. */
const ANSWER_LIMIT_MS = 60_000;
const AGAIN_AFTER_MS = 50;

export interface WorkloadOptions {
  /** Public URLs of the routers. */
  readonly urls: readonly string[];
  readonly writers: number;
  /** Of all writers together, at most. */
  readonly perSecond: number;
  /** How many of the writers send under a key. */
  readonly keyed?: number;
  /** The entity of the first writer; the others follow. */
  readonly firstEntity?: number;
  /** Where outcomes are added to what is known already. */
  readonly told?: Acknowledged;
}

export class Workload {
  readonly told: Acknowledged;
  /** Answers other than 200, and missing ones, each time one came: `503 no_leader`, `no answer`. */
  readonly failures = new Map<string, number>();
  /** Writes under a key that were sent more than once. */
  repeated = 0;
  /** Of the writes that were acknowledged under a key. */
  private readonly keys: { readonly key: string; readonly entity: number; readonly position: unknown }[] = [];
  private readonly options: WorkloadOptions;
  private stopping = false;
  private giveUpAtMs = Number.POSITIVE_INFINITY;
  private readonly writing: Promise<unknown>;

  /** Begins to write at once. */
  constructor(options: WorkloadOptions) {
    this.options = options;
    this.told = options.told ?? new Acknowledged();
    this.writing = Promise.all(Array.from({ length: options.writers }, (_, writer) => this.write(writer)));
  }

  get count(): number {
    return this.told.count;
  }

  /** Resolves after `more` further writes were acknowledged. */
  flows(more = 20, limitMs = 30_000): Promise<void> {
    const before = this.count;
    return eventually(`${more} more writes are acknowledged`, () => this.count >= before + more, limitMs);
  }

  /** Resolves when every write was answered or given up. */
  async stop(): Promise<Acknowledged> {
    this.stopping = true;
    this.giveUpAtMs = performance.now() + ANSWER_LIMIT_MS;
    await this.writing;
    return this.told;
  }

  /**
   * Sends writes that were acknowledged under their keys again, `most` of them from the first to the last. Each is known;
   * what counts is the same afterwards. Returns how many were sent.
   */
  async sendAgain(most: number): Promise<number> {
    const { keys } = this;
    const step = Math.max(1, Math.ceil(keys.length / most));
    const again = keys.filter((_, index) => index % step === 0);
    const giveUpAtMs = performance.now() + ANSWER_LIMIT_MS;
    for (const [turn, { key, entity, position }] of again.entries()) {
      let told = await this.send(entity, turn, key);
      while (told.status !== 200 && performance.now() < giveUpAtMs) told = await this.send(entity, turn, key);
      // The position may be another one: if both sides of a split accepted it, one of the duplicates counts.
      if (told.body.replayed === true) continue;
      throw new Error(`${key} was acknowledged at ${position}, and again: ${told.status} ${JSON.stringify(told.body)}`);
    }
    return again.length;
  }

  private async write(writer: number): Promise<void> {
    const { writers, perSecond, keyed = 0, firstEntity = 1 } = this.options;
    const everyMs = (writers / perSecond) * 1_000;
    let dueMs = performance.now() + (everyMs * writer) / writers;
    for (let count = writer; !this.stopping; count++) {
      const leftMs = dueMs - performance.now();
      if (leftMs > 0) await pause(leftMs);
      if (this.stopping) return;
      dueMs = Math.max(dueMs + everyMs, performance.now());
      if (writer < keyed) await this.writeKeyed(firstEntity + writer, count);
      else this.told.note(firstEntity + writer, await this.send(firstEntity + writer, count));
    }
  }

  private async writeKeyed(entity: number, count: number): Promise<void> {
    const key = randomUUID();
    for (let sent = 0; ; sent++) {
      const told = await this.send(entity, count + sent, key);
      if (sent === 1) this.repeated += 1;
      if (told.status === 200) {
        this.keys.push({ key, entity, position: told.body.position });
        return this.told.acknowledge(entity, told.body);
      }
      if (performance.now() > this.giveUpAtMs) return this.told.doubt(entity);
      await pause(AGAIN_AFTER_MS);
    }
  }

  private async send(entity: number, turn: number, key?: string): Promise<Told> {
    const { urls } = this.options;
    const told = await sendView(urls[turn % urls.length]!, entity, key);
    if (told.status !== 200) {
      const name = told.status === 0 ? `no answer (${told.body.code})` : `${told.status} ${told.body.code}`;
      this.failures.set(name, (this.failures.get(name) ?? 0) + 1);
      // A refusal may come at once: do not spin on it.
      await pause(AGAIN_AFTER_MS);
    }
    return told;
  }
}
