/** Opens a copy of a region's store read-only, and checks its contents. */
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { hashOf, type SchemaDescription } from '../../services/region/compatible/compatible.ts';
import { checkLog } from '../../services/region/snapshot/check-log.ts';
import { openLmdbStore } from '../../services/region/store/lmdb-store.ts';
import { digestOf } from '../../services/region/store/lmdb-store-home.ts';
import { renewStore } from '../../services/region/store/renew-store.ts';
import { openLog } from '../../services/region/wal/log.ts';
import { Fault, messageOf } from '../../shared/errors/errors.ts';
import type { Clock } from '../../shared/kernel/kernel.ts';
import { formatPosition } from '../../shared/protocol/position.ts';
import type { Counts, Manifest } from './manifest.ts';

export interface CheckedCopy {
  /** The region the store belongs to. */
  readonly region: string;
  readonly position: string;
  /** Hash of the last schema of the region. */
  readonly schemaHash: string;
  readonly counts: Counts;
}

/**
 * Checks that the file can be read, and all its contents, as a region checks a peer’s snapshot: under the copy's own schema.
 * Throws `Fault` naming the first damaged batch or row. Only the file is opened; the caller compares its digest first.
 */
export async function checkCopy(clock: Clock, file: string): Promise<CheckedCopy> {
  // LMDB keeps its lock file next to the data: a temporary directory, so that none appears next to the backup.
  const directory = mkdtempSync(join(tmpdir(), 'tidal-check-'));
  try {
    symlinkSync(resolve(file), join(directory, 'data.mdb'));
    await renewStore({ directory, clock });
    const store = openLmdbStore({ path: directory, readOnly: true });
    try {
      const wal = openLog({ store });
      const log = await checkLog(clock, wal);
      let items = 0;
      for (const _ of wal.itemRegisters()) items++;
      let embeddings = 0;
      for (const _ of wal.embeddingRegisters()) embeddings++;
      const counts: Counts = { ...log, items, embeddings, idempotency_keys: wal.keys };
      const schema = wal.mark('schema') as SchemaDescription | undefined;
      const schemaHash = schema === undefined ? '' : hashOf(schema);
      return { schemaHash, region: String(wal.mark('region') ?? ''), position: formatPosition(wal.durable), counts };
    } finally {
      await store.close();
    }
  } catch (error) {
    if (error instanceof Fault) throw error;
    throw new Fault('damaged_log', `${file} cannot be read as a store: ${messageOf(error)}`, { cause: error });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** The whole check of a backup against its manifest: length, digest, then all contents. */
export async function checkBackup(
  clock: Clock,
  file: string,
  manifest: Manifest,
  sizeOf: (file: string) => number,
): Promise<CheckedCopy> {
  const size = sizeOf(file);
  if (size !== manifest.bytes) throw new Fault('damaged_backup', `${file} has ${size} bytes, not ${manifest.bytes}`);
  const sha256 = await digestOf(file);
  if (sha256 !== manifest.sha256) {
    throw new Fault(
      'damaged_backup',
      `${file} has a checksum mismatch: its SHA-256 is ${sha256}, not ${manifest.sha256}`,
    );
  }
  const checked = await checkCopy(clock, file);
  for (const [name, said, is] of [
    ['position', manifest.position, checked.position],
    ['counts', JSON.stringify(manifest.counts), JSON.stringify(checked.counts)],
  ] as const) {
    if (said !== is) throw new Fault('damaged_backup', `${file}: ${name} is ${is}, its manifest says ${said}`);
  }
  return checked;
}
