/** A region's data directory, looked at from outside: is a process using it? */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type LmdbEnvironment, openLmdbStore } from '../../services/region/wal/lmdb-store.ts';
import { currentStore } from '../../services/region/wal/lmdb-store-home.ts';
import { ConfigError } from '../../shared/config/config-error.ts';
import { messageOf } from '../../shared/errors/errors.ts';

export function isEmpty(path: string): boolean {
  return !existsSync(path) || readdirSync(path).length === 0;
}

/** Where the current store of a data directory lies; undefined: it holds none. */
export function storeDirectory(path: string): string | undefined {
  const directory = join(path, currentStore(path));
  return existsSync(join(directory, 'data.mdb')) ? directory : undefined;
}

/**
 * Opens the store, after it is certain that no running process has it open. LMDB's own table of readers tells: an entry
 * belongs to a process that lives as long as the kernel holds its lock, whichever container it runs in. Throws `ConfigError`.
 */
export async function openUnused(path: string, directory: string): Promise<LmdbEnvironment> {
  let store: LmdbEnvironment;
  try {
    store = openLmdbStore({ path: directory });
  } catch (error) {
    throw new ConfigError(`${path} cannot be opened: ${messageOf(error)}; is a region running on it?`);
  }
  const others = store.readers().filter((pid) => pid !== process.pid);
  if (others.length === 0 && readable(store)) return store;
  await store.close();
  const who = others.length === 0 ? 'a process of another container' : `process ${others.join(', ')}`;
  throw new ConfigError(`${path} is in use by ${who}: stop that region first`);
}

/** A process of another container may have the number of this one: the kernel then refuses this one a place in the table. */
function readable(store: LmdbEnvironment): boolean {
  try {
    store.get('marks', 'region');
    return true;
  } catch {
    return false;
  }
}
