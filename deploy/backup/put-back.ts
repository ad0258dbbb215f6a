/** Restores a backup as a region's store, in place of an existing one or without one. */

import { createReadStream, statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createLmdbStoreHome } from '../../services/region/store/lmdb-store-home.ts';
import type { Store, StoreHome } from '../../services/region/store/store.ts';
import { openLog } from '../../services/region/wal/log.ts';
import type { Wal } from '../../services/region/wal/wal.ts';
import { makeDirectory } from '../../shared/config/make-directory.ts';
import { ConfigError } from '../../shared/errors/config-error.ts';
import { Fault } from '../../shared/errors/errors.ts';
import { type Clock, type Random, randomName } from '../../shared/kernel/kernel.ts';
import { isDiskId, joinDisks, parseDisks } from '../../shared/protocol/known-disks.ts';
import { type CheckedCopy, checkBackup } from './check-copy.ts';
import { isEmpty, storeDirectory } from './data-dir.ts';
import type { Manifest } from './manifest.ts';

export interface PutBackOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly from: string;
  readonly manifest: Manifest;
  readonly dataDir: string;
  /** The region that will run on it. */
  readonly region: string;
  /** Whether an existing store may be replaced. */
  readonly replace: boolean;
  readonly say: (line: string) => void;
  /** Registers partial files for removal, until they are released. */
  readonly unfinished: (...paths: readonly string[]) => { release(): void };
}

export interface PutBack extends CheckedCopy {
  /** The disk the backup was made of, if it may still exist: idempotency records are kept for it until it is retired. */
  readonly missed: string | undefined;
}

/**
 * Checks the backup first. The present store, if there is one, stays current until the restored one is completely on the disk,
 * and is then removed. The store that is replaced (or an empty one if there is none) is held open meanwhile, so that no region
 * can start on the directory. Throws `ConfigError` and `Fault`; nothing is changed then.
 */
export async function putBack(options: PutBackOptions): Promise<PutBack> {
  const { clock, from, manifest, dataDir, replace, say } = options;
  if (!isEmpty(dataDir) && !replace) {
    throw new ConfigError(`${dataDir} is not empty; --replace puts the backup in the place of what is there`);
  }
  const home = createLmdbStoreHome({ path: dataDir, clock });
  const replaced = storeDirectory(dataDir) === undefined ? undefined : home.open();
  let held = replaced;
  let done = false;
  try {
    say(`checking ${from}`);
    const checked = await checkBackup(clock, from, manifest, (file) => statSync(file).size);
    makeDirectory(dataDir);
    if (replaced === undefined) options.unfinished(join(dataDir, 'data.mdb'), join(dataDir, 'lock.mdb'));
    held ??= home.open();
    const missed = await install(home, options, replaced === undefined ? undefined : diskOf(replaced));
    done = true;
    return { ...checked, missed };
  } finally {
    await held?.close();
    if (!done && replaced === undefined && held !== undefined) {
      for (const name of ['data.mdb', 'lock.mdb']) await rm(join(dataDir, name), { force: true });
    }
  }
}

async function install(
  home: StoreHome,
  { random, from, manifest, dataDir, region, say, unfinished }: PutBackOptions,
  replacedDisk: string | undefined,
): Promise<string | undefined> {
  const id = randomName(random, 13);
  const half = unfinished(join(dataDir, `store-${id}`));
  const incoming = await home.incoming(id, manifest.bytes);
  say(`writing ${manifest.bytes} bytes to ${dataDir}`);
  for await (const bytes of createReadStream(from, { highWaterMark: 4 * 1024 * 1024 })) {
    await incoming.append(bytes as Buffer);
  }
  if (!(await incoming.complete(manifest.bytes, manifest.sha256))) {
    throw new Fault('damaged_backup', `${dataDir} did not store the backup unchanged: check the disk`);
  }
  await incoming.renew();
  const wal = openLog({ store: incoming.open() });
  await wal.storeMark('region', region);
  const missed = await nameDisk(wal, manifest.region, replacedDisk);
  await wal.close();
  half.release();
  await incoming.makeCurrent();
  return missed;
}

/**
 * The disk the backup was made of may still exist, with more events than the backup: the restored store is another disk. The
 * store it replaces no longer exists, so its id is kept. Returns the id of the disk that is absent from now on.
 */
async function nameDisk(wal: Wal, region: string, replaced: string | undefined): Promise<string | undefined> {
  const made = wal.mark('disk');
  const missed = isDiskId(made) && made !== replaced ? made : undefined;
  if (missed !== undefined) {
    const known = parseDisks(wal.mark('disks')) ?? [];
    const { disks } = joinDisks(known, [{ id: missed, region, knownMs: 0, retired: false }]);
    await wal.storeMark(
      'disks',
      disks.filter(({ id }) => id !== replaced),
    );
  }
  await wal.storeMark('disk', replaced ?? null);
  return missed;
}

function diskOf(store: Store): string | undefined {
  const disk = openLog({ store }).mark('disk');
  return isDiskId(disk) ? disk : undefined;
}
