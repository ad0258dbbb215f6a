/**
 * Reading a store that came from elsewhere in a process of its own (`renew-main.ts`), and writing it anew there. LMDB trusts the pages
 * it is given: one that a peer's disk had damaged before the copy was made ends whoever reads it, or whoever writes to it later, with a
 * signal and without a word. So only its rows are taken over, into pages that were made here.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Fault } from '../../../shared/errors/errors.ts';

/** Of what it says: LMDB's own words when it ends itself. */
const TEXT_LIMIT = 300;

/**
 * Reads the store in `directory`, and writes its rows to a new one in `target` where that is named. Throws `Fault('damaged_store')` and
 * `Fault('storage_full')`. Ends early once `signal` is aborted.
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
