/** Files with secrets, which running processes read again. */
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

const OWNER_ONLY = 0o700;
const EVERYBODY = 0o755;

/** The directory of a process that runs as another user, nats-server’s. The one above it is closed to that user: mount or copy it. */
export function makeOpenPart(directory: string): void {
  mkdirSync(dirname(directory), { recursive: true, mode: OWNER_ONLY });
  // Whatever the umask; what there is keeps its mode.
  if (mkdirSync(directory, { recursive: true }) !== undefined) chmodSync(directory, EVERYBODY);
}

/**
 * The file has this text and mode afterwards; it is replaced at once, so that no process reads a part of it. False if it had this
 * text. Directories that are made are their owner's only.
 */
export function replaceFile(file: string, text: string, mode: number): boolean {
  if (existsSync(file) && readFileSync(file, 'utf8') === text) {
    chmodSync(file, mode);
    return false;
  }
  mkdirSync(dirname(file), { recursive: true, mode: OWNER_ONLY });
  const partial = `${file}.partial`;
  writeFileSync(partial, text, { mode: 0o600 });
  // Whatever the umask.
  chmodSync(partial, mode);
  renameSync(partial, file);
  return true;
}
