/** Copies a region's store: of a running region through its internal API, of a stopped one from its directory. */

import { existsSync } from 'node:fs';
import { appendFile, mkdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createHttpPeerLink } from '../../services/region/peers/http-peer-link.ts';
import { digestOf, flush, openAlone } from '../../services/region/store/lmdb-store-home.ts';
import { makeDirectory } from '../../shared/config/make-directory.ts';
import type { InternalKeys } from '../../shared/credentials/internal-keys.ts';
import { ConfigError } from '../../shared/errors/config-error.ts';
import { Fault, Refusal } from '../../shared/errors/errors.ts';
import { type Clock, sleep } from '../../shared/kernel/kernel.ts';
import { BACKUP_AWAY_MS } from '../../shared/protocol/deadlines.ts';
import { isAway } from '../../shared/region-client/region-client.ts';
import { checkCopy } from './check-copy.ts';
import { storeDirectory } from './data-dir.ts';
import { BACKUP_FORMAT, type Manifest, manifestFile, writeManifest } from './manifest.ts';

const RETRY_MS = 500;
const PROGRESS_MS = 2_000;

export interface TakeOptions {
  readonly clock: Clock;
  readonly region: string;
  /** The file to create; it must not exist. */
  readonly to: string;
  readonly source:
    | { readonly url: string; readonly internalKeys: InternalKeys | undefined }
    | { readonly dataDir: string };
  readonly say: (line: string) => void;
  /** Registers partial files for removal. */
  readonly unfinished: (...paths: readonly string[]) => void;
}

/** Returns the manifest; the file and its manifest are then flushed and checked. Throws `ConfigError` and `Fault`. */
export async function takeBackup(options: TakeOptions): Promise<Manifest> {
  const { clock, region, to, source, say } = options;
  for (const path of [to, manifestFile(to)]) {
    if (existsSync(path)) throw new ConfigError(`${path} exists already; a backup is never overwritten`);
  }
  makeDirectory(dirname(to));
  const part = `${to}.part`;
  await rm(part, { force: true });
  options.unfinished(part, `${part}.d`, to, manifestFile(to));
  try {
    const { sha256, unshipped } =
      'url' in source
        ? await fetchCopy({ ...options, ...source, part })
        : { sha256: await copyDirectory({ ...options, dataDir: source.dataDir, part }), unshipped: undefined };
    await flush(part);
    say('checking every batch');
    const checked = await checkCopy(clock, part);
    if (checked.region !== region) throw new ConfigError(`this is the region ${checked.region}, not ${region}`);
    const { size } = await stat(part);
    await rename(part, to);
    await flush(dirname(to));
    const manifest: Manifest = {
      format: BACKUP_FORMAT,
      region,
      created: new Date(clock.nowMs()).toISOString(),
      position: checked.position,
      schema_hash: checked.schemaHash,
      bytes: size,
      sha256,
      counts: checked.counts,
      ...(unshipped === undefined ? {} : { unshipped_events: unshipped }),
    };
    await writeManifest(to, manifest);
    return manifest;
  } finally {
    await rm(part, { force: true });
  }
}

interface FetchOptions extends TakeOptions {
  readonly url: string;
  readonly internalKeys: InternalKeys | undefined;
  readonly part: string;
}

interface Fetched {
  /** Digest of the fetched bytes, compared with the region's. */
  readonly sha256: string;
  readonly unshipped: number | undefined;
}

async function fetchCopy({ clock, region, url, internalKeys, part, say }: FetchOptions): Promise<Fetched> {
  const link = createHttpPeerLink({ region, url, clock, internalKeys });
  const ask = async <T>(question: () => Promise<T>): Promise<T> => {
    let answeredMs = clock.monotonicMs();
    for (;;) {
      try {
        return await question();
      } catch (error) {
        const isMaking = error instanceof Refusal && error.code === 'not_ready';
        if (isMaking) answeredMs = clock.monotonicMs();
        if (error instanceof Fault && error.code === 'not_admitted') {
          throw new ConfigError(`${error.message}: TIDAL_INTERNAL_SECRET_FILE names the file of its cluster's`);
        }
        if (error instanceof Fault && error.code === 'wrong_region') throw new ConfigError(`${url}: ${error.message}`);
        if (!isMaking && !isAway(error)) throw error;
        if (clock.monotonicMs() - answeredMs >= BACKUP_AWAY_MS) throw error;
        await sleep(clock, RETRY_MS);
      }
    }
  };
  try {
    say(`asking ${url} for a copy of its store`);
    const info = await ask(() => link.snapshot());
    // Read after the copy: accepted events that the stream has by then are a superset of those in the copy.
    const { unshipped } = await ask(() => link.status());
    let saidMs = Number.NEGATIVE_INFINITY;
    for (let received = 0; received < info.bytes; ) {
      if (clock.monotonicMs() - saidMs >= PROGRESS_MS) {
        saidMs = clock.monotonicMs();
        say(`${received} of ${info.bytes} bytes`);
      }
      const from = received;
      const bytes = await ask(() => link.snapshotPart(info.id, from));
      if (bytes.length === 0)
        throw new Fault('damaged_backup', `${url} sent less than the ${info.bytes} bytes it named`);
      await appendFile(part, bytes);
      received += bytes.length;
    }
    say(`${info.bytes} of ${info.bytes} bytes`);
    const sha256 = await digestOf(part);
    if (sha256 !== info.sha256)
      throw new Fault('damaged_backup', 'checksum mismatch of the received backup: try again');
    return { sha256, unshipped: typeof unshipped === 'number' ? unshipped : undefined };
  } finally {
    await link.close();
  }
}

interface CopyOptions extends TakeOptions {
  readonly dataDir: string;
  readonly part: string;
}

async function copyDirectory({ dataDir, part, say }: CopyOptions): Promise<string> {
  const directory = storeDirectory(dataDir);
  if (directory === undefined) throw new ConfigError(`${dataDir} holds no region's store`);
  const store = openAlone(dataDir, directory);
  const copy = `${part}.d`;
  try {
    say(`copying ${dataDir}`);
    await rm(copy, { recursive: true, force: true });
    await mkdir(copy);
    await store.backup(copy);
    await rename(join(copy, 'data.mdb'), part);
  } finally {
    await rm(copy, { recursive: true, force: true });
    await store.close();
  }
  return digestOf(part);
}
