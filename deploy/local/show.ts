/** Turns the processes' JSON log lines into lines for a person: changes of state, warnings and errors; the rest on demand. */

export interface ShownLine {
  readonly text: string;
  /** Shown without `--verbose` too. */
  readonly always: boolean;
}

/** Messages about changes of state, each logged by some process (`test/unit/deploy/local/show-and-lock.test.ts`). */
export const stateChanges: readonly string[] = [
  'ready',
  'leadership record created',
  'leadership changed',
  'leader handed over',
  'partitioned',
  'healed',
  'partition expired, healing',
  'shutdown signal received',
  'stopped',
  'text analysis changed, items are indexed again',
];
const metadata = new Set(['level', 'time', 'name', 'msg', 'pid', 'hostname', 'error']);

/** One line of a process's standard output. Other text is shown unchanged. */
export function showLogLine(line: string): ShownLine {
  const record = parse(line);
  if (record === undefined) return { text: line, always: true };
  const level = levelOf(record.level);
  const text = [
    level === 'info' || level === 'debug' ? '' : `${level}: `,
    String(record.msg),
    ...Object.entries(record)
      .filter(([key]) => !metadata.has(key))
      .map(([key, value]) => ` ${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`),
    record.error === undefined ? '' : `: ${errorText(record.error)}`,
  ].join('');
  const message = String(record.msg);
  const isStateChange = message.startsWith('listening on ') || stateChanges.includes(message);
  return { text, always: level === 'warn' || level === 'error' || isStateChange };
}

/** The message of a JSON log line. */
export function messageIn(line: string): string | undefined {
  const message = parse(line)?.msg;
  return typeof message === 'string' ? message : undefined;
}

function parse(line: string): Record<string, unknown> | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    const record = JSON.parse(line) as Record<string, unknown>;
    return 'msg' in record ? record : undefined;
  } catch {
    return undefined;
  }
}

function levelOf(level: unknown): string {
  if (typeof level === 'string') return level === 'fatal' ? 'error' : level;
  if (typeof level !== 'number') return 'info';
  if (level >= 50) return 'error';
  if (level >= 40) return 'warn';
  return 'info';
}

function errorText(error: unknown): string {
  if (typeof error === 'object' && error !== null && 'message' in error) return String(error.message);
  return typeof error === 'string' ? error : JSON.stringify(error);
}
