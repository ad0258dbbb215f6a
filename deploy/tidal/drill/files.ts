/** Where drills are: files of the operator, and the library that comes with the program. */
import { existsSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { packageRoot } from '../../../shared/config/settings-table.ts';
import { ConfigError } from '../../../shared/errors/config-error.ts';

const library = join(packageRoot, 'drills');
const ending = '.yaml';

/** The names of the library's drills. */
export function libraryNames(): readonly string[] {
  return readdirSync(library)
    .filter((file) => file.endsWith(ending))
    .map((file) => file.slice(0, -ending.length))
    .sort();
}

/** A path, or the name of a drill of the library. Throws `ConfigError` that lists them. */
export function fileOf(word: string): string {
  if (existsSync(word)) return resolve(word);
  const names = libraryNames();
  if (names.includes(word)) return join(library, `${word}${ending}`);
  throw new ConfigError(`there is no file "${word}", and no drill of this name; drills: ${names.join(', ')}`);
}
