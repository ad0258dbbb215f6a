/** Putting a backup in place of a region's store, or where there is none. */
import { createReadStream, statSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { createLmdbStoreHome } from '../../services/region/wal/lmdb-store-home.ts';
import { openLog } from '../../services/region/wal/log.ts';
import { ConfigError } from '../../shared/config/config-error.ts';
import { Fault } from '../../shared/errors/errors.ts';
import { type Clock, type Random, randomName } from '../../shared/kernel/kernel.ts';
import { type CheckedCopy, checkBackup } from './check-copy.ts';
import { isEmpty, openUnused, storeDirectory } from './data-dir.ts';
import type { Manifest } from './manifest.ts';

export interface PutBackOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly from: string;
  readonly manifest: Manifest;
  readonly dataDir: string;
  /** The region that will run on it. */
  readonly region: string;
  /** An existing store is replaced. */
  readonly replace: boolean;
  readonly say: (line: string) => void;
}

/**
 * Checks the backup first; the present store, if there is one, is the current one until the restored one is on the disk
 * whole, and removed then. Throws `ConfigError` and `Fault`; nothing is changed then.
 */
export async function putBack(options: PutBackOptions): Promise<CheckedCopy> {
  const { clock, random, from, manifest, dataDir, region, replace, say } = options;
  if (!isEmpty(dataDir)) {
    if (!replace)
      throw new ConfigError(`${dataDir} is not empty; --replace puts the backup in the place of what is there`);
    const directory = storeDirectory(dataDir);
    if (directory !== undefined) await (await openUnused(dataDir, directory)).close();
  }
  say(`checking ${from}`);
  const checked = await checkBackup(clock, from, manifest, (file) => statSync(file).size);
  await mkdir(dataDir, { recursive: true });
  const home = createLmdbStoreHome({ path: dataDir, clock });
  const incoming = await home.incoming(randomName(random, 13), manifest.bytes);
  say(`writing ${manifest.bytes} bytes to ${dataDir}`);
  for await (const bytes of createReadStream(from, { highWaterMark: 4 * 1024 * 1024 })) {
    await incoming.append(bytes as Buffer);
  }
  if (!(await incoming.complete(manifest.bytes, manifest.sha256))) {
    throw new Fault('damaged_backup', `${dataDir} did not take the backup as it is: look at the disk`);
  }
  const wal = openLog({ store: incoming.open() });
  await wal.storeMark('region', region);
  await wal.close();
  await incoming.makeCurrent();
  return checked;
}
