/** `tidal verify`: reads everything a stopped region or a backup has, and names what is damaged. */
import { existsSync, mkdtempSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { checkVectorFiles } from '../../services/region/state/vectors/vector-file.ts';
import { digestOf, openAlone } from '../../services/region/store/lmdb-store-home.ts';
import { ConfigError } from '../../shared/errors/config-error.ts';
import { Fault, messageOf } from '../../shared/errors/errors.ts';
import { systemClock as clock } from '../../shared/kernel/system.ts';
import { argumentsOf, required, say } from '../backup/command.ts';
import { storeDirectory } from '../backup/data-dir.ts';
import { manifestFile, readManifest } from '../backup/manifest.ts';
import { verifyCluster } from '../tidal/cluster/drills.ts';
import type { Command } from '../tidal/command.ts';
import { type Damage, type Verified, verifyStore } from './verify-store.ts';

export const verify: Command = {
  summary:
    'compares the regions of a running cluster; or reads everything a stopped region or a backup has, and names damage',
  help: `tidal verify [--url URL] [--key KEY] [--json]
tidal verify --data-dir DIR
tidal verify --from FILE

Of a running cluster the state of all regions is compared, bit for bit, at one position: the options are those of tidal status,
and a difference, or what could not be found out, has the exit code 1.

Otherwise reads every batch, register, idempotency record and checkpoint shard, and compares registers with the events of the log that wrote
them; of a data directory also the files of the vector index, of a backup its manifest. Each damage is a line with its position.
Nothing is changed. What to do then: "Damaged files" in the runbook.

  --data-dir  the data directory of a stopped region
  --from      a backup; its manifest, the .json, is beside it. Also the file of a snapshot, without one
  --deep      the same: everything is always read

Exit code 0: everything is whole. 1: something is damaged. 2: invalid arguments.
`,
  async run(args) {
    const isOffline = args.some((arg) => /^--(data-dir|from|deep)(=|$)/.test(arg));
    if (!isOffline) return verifyCluster(args);
    const text = { type: 'string' } as const;
    const given = argumentsOf(args, { 'data-dir': text, from: text, deep: { type: 'boolean' } });
    if (given === undefined) return;
    if ((given['data-dir'] === undefined) === (given.from === undefined)) {
      throw new ConfigError('give one of --data-dir, of a stopped region, and --from, a backup');
    }
    const path = resolve(required(given, given.from === undefined ? 'data-dir' : 'from'));
    const { damages, ...counts } = given.from === undefined ? await verifyDataDir(path) : await verifyBackup(path);
    for (const { at, what } of damages) say(`damaged: ${at}: ${what}`);
    if (damages.length > 0) throw new Fault('damaged_store', `${path}: ${damages.length} damaged`);
    const { region, batches, events, registers, shards } = counts;
    say(
      `${path} is whole: region ${region}, ${events} events in ${batches} batches, ${registers} of them compared with registers, ${shards} shards`,
    );
  },
};

/** Throws `ConfigError` if it is no data directory, or a region runs on it. */
export async function verifyDataDir(path: string): Promise<Verified> {
  const directory = storeDirectory(path);
  if (directory === undefined) throw new ConfigError(`${path} holds no store`);
  // Closed before anything is read in this process: pages may be damaged.
  await openAlone(path, directory).close();
  const verified = await verifyStore(clock, directory);
  const vectors = await checkVectorFiles(join(path, 'vectors'));
  return vectors === undefined
    ? verified
    : { ...verified, damages: [...verified.damages, { at: 'vectors', what: vectors }] };
}

/** Throws `ConfigError` if there is no such file. */
export async function verifyBackup(file: string): Promise<Verified> {
  if (!existsSync(file)) throw new ConfigError(`${file} does not exist`);
  const damages: Damage[] = [];
  if (existsSync(manifestFile(file))) {
    try {
      const { bytes, sha256 } = readManifest(file);
      const { size } = statSync(file);
      if (size !== bytes) damages.push({ at: file, what: `it has ${size} bytes, its manifest says ${bytes}` });
      else if ((await digestOf(file)) !== sha256)
        damages.push({ at: file, what: 'its SHA-256 is not that of its manifest' });
    } catch (error) {
      damages.push({ at: manifestFile(file), what: messageOf(error) });
    }
  }
  // LMDB keeps its lock file next to the data: a temporary directory, so that none appears next to the backup.
  const directory = mkdtempSync(join(tmpdir(), 'tidal-verify-'));
  try {
    symlinkSync(file, join(directory, 'data.mdb'));
    const verified = await verifyStore(clock, directory);
    return { ...verified, damages: [...damages, ...verified.damages] };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
