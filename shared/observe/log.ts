/**
 * The log: one JSON object a line on standard output. Message first, fields second; an `error` field keeps its stack.
 * Parts take the {@link Log} interface, so that a test or a simulation can listen.
 */
import { writeSync } from 'node:fs';
import { type DestinationStream, pino, stdSerializers, stdTimeFunctions } from 'pino';

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
  /** Who speaks: `router`, or the name of the region. */
  readonly name: string;
  readonly level: LogLevel;
  /** Standard output when absent. Writes are synchronous: a line logged before a crash is a line on the pipe. */
  readonly destination?: DestinationStream;
}

export function createLog({ name, level, destination }: LogOptions): Log {
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
  return { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') };
}

const standardOutputHandle = 1;
/** How often a line is tried while the reader is slow, and the pause between: about two seconds in all. */
const retries = { count: 200, pauseMs: 10 } as const;
let readerGone = false;

/**
 * Not pino's own: that one, once nobody reads the pipe any more, tries for ever on the way out, so that a process whose
 * launcher was killed would never leave. Here lines without a reader are dropped.
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

/** For parts whose log nobody reads. */
export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };
