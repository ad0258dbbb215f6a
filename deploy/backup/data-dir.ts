/** Reads a region's data directory without opening its store. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { currentStore } from '../../services/region/store/lmdb-store-home.ts';

export function isEmpty(path: string): boolean {
  return !existsSync(path) || readdirSync(path).length === 0;
}

/** The directory of the current store; undefined if there is none. */
export function storeDirectory(path: string): string | undefined {
  const directory = join(path, currentStore(path));
  return existsSync(join(directory, 'data.mdb')) ? directory : undefined;
}
