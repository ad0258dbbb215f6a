/** Files with secrets, which running processes read again. */
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/** The file has this text and mode afterwards; it is replaced at once, so that no process reads a part of it. */
export function replaceFile(file: string, text: string, mode: number): void {
  if (existsSync(file) && readFileSync(file, 'utf8') === text) {
    chmodSync(file, mode);
    return;
  }
  mkdirSync(dirname(file), { recursive: true });
  const partial = `${file}.partial`;
  writeFileSync(partial, text, { mode: 0o600 });
  // Whatever the umask.
  chmodSync(partial, mode);
  renameSync(partial, file);
}
