/**
 * Values of the control bucket, and reports of them, that were refused: each value is logged once however often it is read, every
 * read of one is counted, and each is named in the status while its source has it and for a minute afterwards, because it is
 * corrected before an operator would see it.
 */
import type { Clock } from '../kernel/kernel.ts';
import type { Log } from '../observe/log.ts';

/** Values whose refusal was logged are remembered up to this many; then all may be logged again. */
const REMEMBERED = 256;
/** Characters of a value in the log. */
const SHOWN_CHARACTERS = 512;
const NAMED_MS = 60_000;

export interface RefusedValuesOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** Counts one read. */
  readonly count: () => void;
}

interface Refused {
  readonly why: string;
  readonly atMs: number;
  readonly held: boolean;
}

export class RefusedValues {
  private readonly options: RefusedValuesOptions;
  private readonly logged = new Set<string>();
  /** By source: as many as there are keys and regions. */
  private readonly newest = new Map<string, Refused>();

  constructor(options: RefusedValuesOptions) {
    this.options = options;
  }

  /** `source`: where the value was found, as a noun phrase. */
  refuse(source: string, value: unknown, why: string): void {
    const { clock, count } = this.options;
    this.newest.set(source, { why, atMs: clock.monotonicMs(), held: true });
    count();
    this.logOnce(source, value, why);
  }

  /** Of a value that decides nothing and is replaced by the next one: logged, and no matter of the cluster's health. */
  ignore(source: string, value: unknown, why: string): void {
    this.logOnce(source, value, why);
  }

  private logOnce(source: string, value: unknown, why: string): void {
    const text = (JSON.stringify(value) ?? 'undefined').slice(0, SHOWN_CHARACTERS);
    const key = `${source}: ${why}: ${text}`;
    if (this.logged.has(key)) return;
    if (this.logged.size >= REMEMBERED) this.logged.clear();
    this.logged.add(key);
    this.options.log.error('malformed value in the control bucket', { source, reason: why, value: text });
  }

  /** Called when the present value of the source is valid. */
  accept(source: string): void {
    const refused = this.newest.get(source);
    if (refused?.held === true) this.newest.set(source, { ...refused, held: false });
  }

  /** The values refused now or within the last minute, one sentence each. */
  get reasons(): readonly string[] {
    const nowMs = this.options.clock.monotonicMs();
    return [...this.newest].flatMap(([source, { why, atMs, held }]) => {
      if (held) return [`the value of ${source} is refused: ${why}`];
      return nowMs - atMs < NAMED_MS ? [`a value of ${source} was refused within the last minute: ${why}`] : [];
    });
  }
}
