/**
 * Reads a received store in a separate process (`renew-main.ts`), and rewrites it there. LMDB trusts its pages: one that a peer's
 * disk had damaged before the copy was made crashes the process that reads it or later writes to it, without an error. So only
 * its rows are copied, into new pages.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Fault } from '../../../shared/errors/errors.ts';

/** Limit of its stderr, with LMDB's own words if it aborts. */
const TEXT_LIMIT = 300;

/**
 * Reads the store in `directory`, and writes its rows to a new one in `target` if that is given. Throws `Fault('damaged_store')`
 * and `Fault('storage_full')`. Ends early once `signal` is aborted.
 */
export async function renewStore(directory: string, target?: string, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return;
  const main = fileURLToPath(new URL('./renew-main.js', import.meta.url));
  const child = spawn(process.execPath, [main, directory, ...(target === undefined ? [] : [target])], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const end = (): void => void child.kill('SIGKILL');
  signal?.addEventListener('abort', end, { once: true });
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
    const said = text.trim().split('\n')[0] ?? '';
    throw new Fault(
      'damaged_store',
      `the file is no store that can be read: ${said === '' ? `its reader ended with ${how}` : said}`,
    );
  } finally {
    signal?.removeEventListener('abort', end);
  }
}
