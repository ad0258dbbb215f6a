/**
 * The log: one JSON object a line on standard output. Message first, fields second; an `error` field keeps its stack. Equal
 * warnings are counted.
 * Parts take the {@link Log} interface, so that a test or a simulation can listen.
 */
import { writeSync } from 'node:fs';
import { type DestinationStream, pino, stdSerializers, stdTimeFunctions } from 'pino';
import type { Clock } from '../kernel/kernel.ts';

export type LogFields = Readonly<Record<string, unknown>>;

export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

export const logLevels = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof logLevels)[number];

export interface LogOptions {
  /** Source of the lines: `router`, or the name of the region. */
  readonly name: string;
  readonly level: LogLevel;
  /** Equal warnings are counted for a minute of it. */
  readonly clock: Clock;
  /** Standard output when absent. Writes are synchronous: a line logged before a crash is a line on the pipe. */
  readonly destination?: DestinationStream;
}

export function createLog({ name, level, clock, destination }: LogOptions): Log {
  const options = {
    name,
    level,
    base: { name },
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { error: stdSerializers.err },
  };
  const sink = pino(options, destination ?? standardOutput);
  const line =
    (severity: LogLevel) =>
    (message: string, fields?: LogFields): void => {
      if (fields === undefined) sink[severity](message);
      else sink[severity](fields, message);
    };
  const repeats = new Repeats(clock, (severity, message, fields) => line(severity)(message, fields));
  const limited =
    (severity: Limited) =>
    (message: string, fields?: LogFields): void => {
      if (repeats.isFirst(severity, message, fields)) line(severity)(message, fields);
    };
  if (destination === undefined) tellAtExit(repeats);
  return { debug: line('debug'), info: line('info'), warn: limited('warn'), error: limited('error') };
}

type Limited = 'warn' | 'error';

const REPEATS_MS = 60_000;
/** Short texts in fields distinguish variants of a message; these fields differ each time, or are a client's. */
const variable = new Set(['request_id', 'detail', 'error', 'value', 'id', 'position', 'digests']);
/** Further variants of one message within a minute count as one. */
const VARIANTS = 16;
const VARIANT_LENGTH = 64;

interface Repeated {
  readonly severity: Limited;
  readonly message: string;
  readonly variant: string;
  fields: LogFields | undefined;
  /** Count since its last line. */
  count: number;
}

/**
 * Equal warnings are counted instead of repeated: the first one is a line, then there is one line a minute, the last of them,
 * with how many there were (`repeated`). So a client that causes warnings cannot displace everything else in a process's log.
 */
class Repeats {
  private readonly clock: Clock;
  private readonly write: (severity: Limited, message: string, fields: LogFields) => void;
  /** By severity and message, by variant. */
  private readonly seen = new Map<string, Map<string, Repeated>>();
  private waits = false;

  constructor(clock: Clock, write: (severity: Limited, message: string, fields: LogFields) => void) {
    this.clock = clock;
    this.write = write;
  }

  /** False if it was only counted. */
  isFirst(severity: Limited, message: string, fields: LogFields | undefined): boolean {
    const name = `${severity} ${message}`;
    let variants = this.seen.get(name);
    if (variants === undefined) {
      variants = new Map();
      this.seen.set(name, variants);
    }
    let variant = variantOf(fields);
    if (variants.size >= VARIANTS && !variants.has(variant)) variant = 'others';
    const repeated = variants.get(variant);
    if (repeated !== undefined) {
      repeated.count++;
      repeated.fields = fields;
      return false;
    }
    variants.set(variant, { severity, message, variant, fields, count: 0 });
    if (!this.waits) this.wait();
    return true;
  }

  private wait(): void {
    this.waits = true;
    this.clock.after(REPEATS_MS, () => {
      this.waits = false;
      this.tell();
      if (this.seen.size > 0) this.wait();
    });
  }

  /** Counted warnings are logged and counted from 0 again; the others are forgotten. */
  tell(): void {
    for (const [name, variants] of this.seen) {
      for (const repeated of variants.values()) {
        const { severity, message, variant, fields, count } = repeated;
        if (count === 0) variants.delete(variant);
        else this.write(severity, message, { ...fields, repeated: count });
        repeated.count = 0;
      }
      if (variants.size === 0) this.seen.delete(name);
    }
  }
}

const toldAtExit = new Set<Repeats>();

/** Counts that remain at the end of the process are logged then. */
function tellAtExit(repeats: Repeats): void {
  if (toldAtExit.size === 0) {
    process.on('exit', () => {
      for (const each of toldAtExit) each.tell();
    });
  }
  toldAtExit.add(repeats);
}

function variantOf(fields: LogFields | undefined): string {
  if (fields === undefined) return '';
  let variant = '';
  for (const [name, value] of Object.entries(fields)) {
    if (variable.has(name) || (typeof value !== 'string' && name !== 'status')) continue;
    variant += `${name}=${String(value).slice(0, VARIANT_LENGTH)} `;
  }
  return variant;
}

const standardOutputHandle = 1;
/** How often a write is tried while the reader is slow, and the pause in between: about two seconds in all. */
const retries = { count: 200, pauseMs: 10 } as const;
let readerGone = false;

/**
 * Replaces pino's own, which retries without end at exit once the pipe has no reader, so that a process whose launcher was killed
 * would never exit. Here lines without a reader are dropped.
 */
const standardOutput: DestinationStream = {
  write(line) {
    let rest = Buffer.from(line);
    for (let tries = 0; rest.length > 0 && !readerGone && tries < retries.count; ) {
      try {
        rest = rest.subarray(writeSync(standardOutputHandle, rest));
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code !== 'EAGAIN' && code !== 'EBUSY') readerGone = true;
        tries += 1;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, retries.pauseMs);
      }
    }
  },
};
