/**
 * Watches the keys file: it is read again when it changes, and on request. A file that cannot be used is reported, and the former
 * keys stay valid.
 *
 * A change counts once two looks have found the same text: a file that is being written may be a shorter list of keys by then.
 */
import { messageOf } from '../../../shared/errors/errors.ts';
import type { Clock } from '../../../shared/kernel/kernel.ts';
import type { Part } from '../../../shared/kernel/parts.ts';
import { type Repetition, repeat } from '../../../shared/kernel/repeat.ts';
import type { Log } from '../../../shared/observe/log.ts';
import type { Metrics } from '../../../shared/observe/metrics.ts';
import type { AccessKey, KeysSource } from './keys.ts';
import { parseKeys } from './parse-keys.ts';

const LOOK_MS = 1_000;

export interface KeysFileOptions {
  /** Absent: there is nothing to watch. */
  readonly source: KeysSource | undefined;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly onKeys: (keys: readonly AccessKey[]) => void;
}

/** What a look found: the file's text, or why it cannot be read. */
interface Found {
  readonly text?: string;
  readonly failure?: string;
}

export class KeysFile implements Part {
  private readonly options: KeysFileOptions;
  private used: Found;
  private last: Found;
  private broken = false;
  private looking: Repetition | undefined;

  constructor(options: KeysFileOptions) {
    this.options = options;
    this.used = options.source === undefined ? {} : { text: options.source.text };
    this.last = this.used;
    options.metrics.gauge({
      name: 'tidal_router_keys_file_broken',
      help: '1 while the keys file cannot be used and the keys of its former content are valid.',
      read: () => this.broken,
    });
  }

  start(): void {
    const { source, clock } = this.options;
    if (source !== undefined) this.looking = repeat({ clock, pauseMs: LOOK_MS, action: () => this.look() });
  }

  async stop(): Promise<void> {
    await this.looking?.stop();
  }

  /** Reads it now, and reports the result in any case. */
  async reload(): Promise<void> {
    const { source } = this.options;
    if (source === undefined) return;
    this.last = await found(source);
    this.use(this.last, source);
  }

  private async look(): Promise<void> {
    const { source } = this.options;
    if (source === undefined) return;
    const now = await found(source);
    const same = now.text === this.last.text && now.failure === this.last.failure;
    this.last = now;
    if (same && (now.text !== this.used.text || now.failure !== this.used.failure)) this.use(now, source);
  }

  private use(now: Found, { path }: KeysSource): void {
    const { log, onKeys } = this.options;
    this.used = now;
    try {
      if (now.text === undefined) throw new Error(now.failure);
      const keys = parseKeys(now.text, path);
      onKeys(keys);
      this.broken = false;
      log.info('keys file read', { file: path, keys: keys.length });
    } catch (error) {
      this.broken = true;
      log.error('keys file cannot be used, former keys stay valid', { file: path, detail: messageOf(error) });
    }
  }
}

async function found({ read }: KeysSource): Promise<Found> {
  try {
    return { text: await read() };
  } catch (error) {
    return { failure: messageOf(error) };
  }
}
