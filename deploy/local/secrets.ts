/**
 * The secrets of a cluster on this machine: made at its first start, kept in its data directory, mode 0600, and used again. An
 * operator replaces the internal secret by editing its file while the cluster runs (`docs/runbook.md`).
 */
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { INTERNAL_SECRET_FILE, parseSecrets } from '../../shared/credentials/internal-secret.ts';

/** 32 random bytes as text. */
export function newSecret(): string {
  return randomBytes(32).toString('base64url');
}

/** The path of the file, which then holds a usable secret. Throws `ConfigError` for another content. */
export function keepInternalSecret(dataDir: string): string {
  const file = join(dataDir, INTERNAL_SECRET_FILE);
  try {
    writeFileSync(file, `${newSecret()}\n`, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  parseSecrets(readFileSync(file, 'utf8'), file);
  return file;
}
