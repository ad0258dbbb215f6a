/** A world on disk, and the whole cluster on it. */
import { constants, cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openLmdbStore } from '../../../services/region/store/lmdb-store.ts';
import { openLog } from '../../../services/region/wal/log.ts';
import { makeDirectory } from '../../../shared/config/make-directory.ts';
import { eventually } from '../../harness/kernel/eventually.ts';
import { Cluster } from '../../harness/processes/cluster.ts';
import { natsSyncs } from '../../harness/processes/nats-binary.ts';
import type { BenchSettings } from '../bench.ts';
import type { BuiltStore } from './build-store.ts';
import { fillStore } from './fill-store.ts';
import { type WorldSize, writeWorldSchema } from './world.ts';

/** Events since the checkpoint. */
const SINCE = 300_000;
/** Three starts at once, and a machine that may be used by others. */
const START_LIMIT_MS = 300_000;

export interface BuiltWorld {
  readonly size: WorldSize;
  readonly since: number;
  /** Of a data directory of us-east, whose process was killed; to be copied, not used. */
  readonly directory: string;
  readonly schemaFile: string;
  readonly built: BuiltStore;
}

/** Builds a world of this size, or returns the one that another benchmark of this run has built. */
export async function builtWorld(
  { size, worldsDirectory }: BenchSettings,
  report: (progress: string) => void,
): Promise<BuiltWorld> {
  const since = Math.min(SINCE, Math.floor(size.signals / 10));
  const home = join(worldsDirectory, Object.values(size).join('-'));
  const directory = join(home, 'data');
  const done = join(home, 'built.json');
  if (existsSync(done)) return JSON.parse(readFileSync(done, 'utf8')) as BuiltWorld;
  makeDirectory(directory);
  const schemaFile = writeWorldSchema(home);
  report(`building a world: ${JSON.stringify(size)}`);
  const startMs = performance.now();
  const built = await fillStore({ directory, schemaFile, size, since });
  report(`built in ${Math.round((performance.now() - startMs) / 1_000)} s: ${JSON.stringify(built)}`);
  const world: BuiltWorld = { size, since, directory, schemaFile, built };
  writeFileSync(done, JSON.stringify(world));
  return world;
}

/** A region's data directory with the world in it, as if it had received it all. */
export async function copyWorld(world: BuiltWorld, directory: string, region: string): Promise<void> {
  cpSync(world.directory, directory, { recursive: true, mode: constants.COPYFILE_FICLONE });
  const wal = openLog({ store: openLmdbStore({ path: directory }) });
  await wal.storeMark('region', region);
  await wal.close();
}

/**
 * Router, three regions and a nats-server that syncs where it can, as `npm start` makes them; every region has the world.
 * Resolves when all indexes can be read.
 */
export async function startWorld(world: BuiltWorld): Promise<Cluster> {
  const cluster = await Cluster.start({
    schemaFile: world.schemaFile,
    syncAlways: await natsSyncs(),
    fill: (directory, region) => copyWorld(world, directory, region),
    startLimitMs: START_LIMIT_MS,
  });
  try {
    await Promise.all(cluster.regionNames.map((region) => indexed(cluster, region, world.size)));
    return cluster;
  } catch (error) {
    await cluster.stop();
    throw error;
  }
}

/** What ran, for the notes of a page. */
export async function describeProcesses(): Promise<string> {
  const syncing = (await natsSyncs())
    ? 'that syncs every message'
    : 'older than 2.10, which does not sync every message';
  return `nats-server ${syncing}, three regions and a router, as \`npm start\` makes them, share the machine with the clients`;
}

/** Every item is in filter and text index, every vector in the graph. */
async function indexed(cluster: Cluster, region: string, { items, embeddings }: WorldSize): Promise<void> {
  await eventually(
    `${region} has indexed everything`,
    async () => {
      const { body } = await cluster.region<string>(region, '/metrics');
      const [indexedItems, vectors, graphed] = ['tidal_items_indexed', 'tidal_vectors', 'tidal_vectors_in_graph'].map(
        (name) => metricOf(body, name),
      );
      return indexedItems === items && vectors === embeddings && (graphed === embeddings || embeddings <= 4_000);
    },
    START_LIMIT_MS,
  );
}

/** The value of a metric without labels of its own; undefined: the process has none of that name. */
export function metricOf(metrics: string, name: string): number | undefined {
  const value = new RegExp(`^${name}\\{[^}]*\\} (\\S+)$`, 'm').exec(metrics)?.[1];
  return value === undefined ? undefined : Number(value);
}
