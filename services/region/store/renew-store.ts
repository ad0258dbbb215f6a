/**
 * Reads a received store in a separate process (`renew-main.ts`), and rewrites it there. LMDB trusts its pages: one that a peer's
 * disk had damaged before the copy was made crashes the process that reads it or later writes to it, without an error, or keeps
 * it in a loop. So only its rows are copied, into new pages, and a reader that stops making progress is ended.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Fault } from '../../../shared/errors/errors.ts';
import type { Clock } from '../../../shared/kernel/kernel.ts';

/** Limit of its stderr, with LMDB's own words if it aborts. */
const TEXT_LIMIT = 300;

/** A reader without progress for this long has not just a slow disk: it reports every second, and commits 16 MiB at a time. */
const STALLED_MS = 60_000;

export interface RenewOptions {
  readonly directory: string;
  /** Where the rows are written to; only read if absent. */
  readonly target?: string;
  readonly signal?: AbortSignal | undefined;
  readonly clock: Pick<Clock, 'after'>;
  /** Default 60,000. */
  readonly stalledMs?: number | undefined;
}

/**
 * Reads the store in `directory`, and writes its rows to a new one in `target` if that is given. Throws `Fault('damaged_store')`
 * and `Fault('storage_full')`. Ends early once `signal` is aborted.
 */
export async function renewStore(options: RenewOptions): Promise<void> {
  const { directory, target, signal, clock, stalledMs = STALLED_MS } = options;
  if (signal?.aborted) return;
  const main = fileURLToPath(new URL('./renew-main.js', import.meta.url));
  const child = spawn(process.execPath, [main, directory, ...(target === undefined ? [] : [target])], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const end = (): void => void child.kill('SIGKILL');
  signal?.addEventListener('abort', end, { once: true });
  let stalled = false;
  const stop = (): void => {
    stalled = true;
    end();
  };
  let timer = clock.after(stalledMs, stop);
  child.stdout.on('data', () => {
    timer.cancel();
    timer = clock.after(stalledMs, stop);
  });
  let text = '';
  child.stderr.setEncoding('utf8').on('data', (part: string) => {
    text = (text + part).slice(0, TEXT_LIMIT);
  });
  try {
    const how = await new Promise<string | undefined>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, killed) => resolve(code === 0 ? undefined : (killed ?? `exit code ${code}`)));
    });
    if (how === undefined || signal?.aborted) return;
    if (how === 'exit code 3') throw new Fault('storage_full', text.trim());
    const said = stalled
      ? `its reader made no progress for ${stalledMs / 1_000} s`
      : (text.trim().split('\n')[0] ?? '');
    throw new Fault(
      'damaged_store',
      `the file is no store that can be read: ${said === '' ? `its reader ended with ${how}` : said}`,
    );
  } finally {
    timer.cancel();
    signal?.removeEventListener('abort', end);
  }
}
