/** The manifest of a backup, `<file>.json`. It is written last, so a backup without one is incomplete. */
import { readFileSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { flush } from '../../services/region/store/lmdb-store-home.ts';
import { ConfigError } from '../../shared/errors/config-error.ts';
import { messageOf } from '../../shared/errors/errors.ts';

/** Version of the file and of the manifest. */
export const BACKUP_FORMAT = 'tidaldb-backup-1';

export interface Counts {
  readonly origins: number;
  readonly batches: number;
  /** Events whose batches are in it; more were in its log before it was trimmed. */
  readonly events: number;
  /** Stored ledger shards. */
  readonly shards: number;
  readonly items: number;
  readonly embeddings: number;
  readonly idempotency_keys: number;
}

export interface Manifest {
  readonly format: string;
  readonly region: string;
  /** RFC 3339. */
  readonly created: string;
  /** Position token of the backup. */
  readonly position: string;
  readonly schema_hash: string;
  readonly bytes: number;
  /** Hexadecimal, of the file. */
  readonly sha256: string;
  readonly counts: Counts;
  /** Events the region had accepted and the stream had not acknowledged when it was made; absent if unknown. */
  readonly unshipped_events?: number;
}

export function manifestFile(file: string): string {
  return `${file}.json`;
}

/** Throws `ConfigError` if there is none, or one of another format. */
export function readManifest(file: string): Manifest {
  const path = manifestFile(file);
  let manifest: Partial<Manifest>;
  try {
    manifest = JSON.parse(readFileSync(path, 'utf8')) as Partial<Manifest>;
  } catch (error) {
    throw new ConfigError(`${path} cannot be read: ${messageOf(error)}; a backup is the file and the .json beside it`);
  }
  const { format, region, bytes, sha256, position } = manifest;
  if (format !== BACKUP_FORMAT) {
    throw new ConfigError(`${path}: the format is ${JSON.stringify(format)}; this program knows ${BACKUP_FORMAT}`);
  }
  const whole = [region, sha256, position].every((field) => typeof field === 'string') && typeof bytes === 'number';
  if (!whole) throw new ConfigError(`${path}: region, position, bytes or sha256 is missing`);
  return manifest as Manifest;
}

/** Resolves when it is on the disk. */
export async function writeManifest(file: string, manifest: Manifest): Promise<void> {
  const path = manifestFile(file);
  await writeFile(`${path}.part`, `${JSON.stringify(manifest, null, 2)}\n`);
  await flush(`${path}.part`);
  await rename(`${path}.part`, path);
  await flush(dirname(path));
}
