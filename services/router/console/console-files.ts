/** Reads the files of the page, once: a request reads no disk, and names no path. */
import { hash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { packageRoot } from '../../../shared/config/settings-table.ts';
import type { ConsoleFile, ConsoleFiles } from './console.ts';

/** In the package. */
const FOLDER = 'services/router/console/static';

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

export function readConsoleFiles(): ConsoleFiles {
  const folder = join(packageRoot, FOLDER);
  const files = new Map<string, ConsoleFile>();
  for (const name of readdirSync(folder).sort()) {
    const type = types[extname(name)];
    if (type === undefined) continue;
    const text = readFileSync(join(folder, name), 'utf8');
    files.set(name, { type, text, etag: `W/"${hash('sha256', text, 'base64url').slice(0, 22)}"` });
  }
  return files;
}
