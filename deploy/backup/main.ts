/** `npm run backup`: a backup of one region, or the check of one. */
import { existsSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { packageRoot } from '../../shared/config/settings-table.ts';
import type { InternalKeys } from '../../shared/credentials/internal-keys.ts';
import { INTERNAL_SECRET_FILE, readInternalKeys } from '../../shared/credentials/internal-secret.ts';
import { ConfigError } from '../../shared/errors/config-error.ts';
import { systemClock as clock } from '../../shared/kernel/system.ts';
import { loadTopology } from '../../shared/topology/parse-topology.ts';
import { checkBackup } from './check-copy.ts';
import { argumentsOf, type Given, leaveWith, removedWhenInterrupted, required, say } from './command.ts';
import { type Counts, readManifest } from './manifest.ts';
import { takeBackup } from './take.ts';

const help = `npm run backup -- --region NAME --to FILE [--from-url URL | --data-dir DIR] [--topology FILE]
npm run backup -- verify --from FILE

A backup is one file and its manifest, a .json beside it. A running region still serves; all flushed events are in the backup.

  --region    the region's name, default TIDAL_REGION
  --to        the new file; it must not exist
  --from-url  the region's internal address, http://host:port; default: its address in the topology
  --data-dir  the data directory of a stopped region
  --topology  default TIDAL_TOPOLOGY, else the one npm start has written to .tidal/topology.yaml, else the default one
  verify      checks a backup: its digest, every batch's checksum and chain, the counts in the .json

A running region wants the cluster's internal secret: TIDAL_INTERNAL_SECRET_FILE or TIDAL_INTERNAL_SECRET, else the one that npm
start keeps beside the topology it has written.

Exit code 0: done. 1: it failed, or the backup is damaged. 2: invalid arguments.
`;

const text = { type: 'string' } as const;

function topologyFile(given: Given): string {
  const local = resolve('.tidal/topology.yaml');
  const named = given.topology ?? process.env.TIDAL_TOPOLOGY ?? (existsSync(local) ? local : undefined);
  return typeof named === 'string' ? resolve(named) : resolve(packageRoot, 'deploy/config/default-cluster.yaml');
}

function internalKeys(given: Given): InternalKeys | undefined {
  const { TIDAL_INTERNAL_SECRET: internalSecret = '', TIDAL_INTERNAL_SECRET_FILE: named = '' } = process.env;
  const local = join(dirname(topologyFile(given)), INTERNAL_SECRET_FILE);
  const isLocal = internalSecret === '' && named === '' && existsSync(local);
  return readInternalKeys({ internalSecret, internalSecretFile: isLocal ? local : named, insecureInternal: false });
}

function urlOf(region: string, given: Given): string {
  const file = topologyFile(given);
  const { regions } = loadTopology(file);
  const entry = regions.find(({ name }) => name === region);
  if (entry === undefined) {
    throw new ConfigError(
      `${file}: there is no region ${region}; known: ${regions.map(({ name }) => name).join(', ')}`,
    );
  }
  return entry.url;
}

function summary({ origins, batches, events, items }: Counts): string {
  return `${events} events in ${batches} batches of ${origins} origins, ${items} items`;
}

async function backup(args: readonly string[]): Promise<void> {
  const given = argumentsOf(args, { region: text, to: text, 'from-url': text, 'data-dir': text, topology: text });
  if (given === undefined) return say(help);
  const region = given.region === undefined ? (process.env.TIDAL_REGION ?? '') : required(given, 'region');
  if (region === '') throw new ConfigError('--region is required');
  const to = resolve(required(given, 'to'));
  const url = given['from-url'];
  const dataDir = given['data-dir'];
  if (url !== undefined && dataDir !== undefined) {
    throw new ConfigError('--from-url is for a running region, --data-dir for a stopped one: give one of them');
  }
  const source =
    dataDir === undefined
      ? {
          url: url === undefined ? urlOf(region, given) : required(given, 'from-url').replace(/\/+$/, ''),
          internalKeys: internalKeys(given),
        }
      : { dataDir: resolve(required(given, 'data-dir')) };
  const { bytes, position, counts } = await takeBackup({
    ...{ clock, region, to, source, say },
    unfinished: removedWhenInterrupted,
  });
  say(`${to}: ${bytes} bytes, ${summary(counts)}`);
  say(`position ${position}`);
}

async function verify(args: readonly string[]): Promise<void> {
  const given = argumentsOf(args, { from: text });
  if (given === undefined) return say(help);
  const from = resolve(required(given, 'from'));
  if (!existsSync(from)) throw new ConfigError(`${from} does not exist`);
  const manifest = readManifest(from);
  const { counts } = await checkBackup(clock, from, manifest, (file) => statSync(file).size);
  say(`${from} is whole: region ${manifest.region}, of ${manifest.created}, ${summary(counts)}`);
}

const [first, ...rest] = process.argv.slice(2);
await leaveWith('backup', () => (first === 'verify' ? verify(rest) : backup(process.argv.slice(2))));
