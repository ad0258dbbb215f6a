/** `tidal check`: whether the processes would accept these files, before any of them is started with them. */
import { resolve } from 'node:path';
import { loadSchema } from '../../../services/region/schema/parse-schema.ts';
import { parseKeys } from '../../../services/router/keys/parse-keys.ts';
import { readConfigFile } from '../../../shared/config/yaml-file.ts';
import { ConfigError } from '../../../shared/errors/config-error.ts';
import { loadTopology } from '../../../shared/topology/parse-topology.ts';
import { CommandError, say } from '../../backup/command.ts';
import type { Command } from '../command.ts';
import { clusterArguments, clusterHelp } from './request.ts';

const kinds = ['topology', 'schema', 'keys'] as const;

export const check: Command = {
  summary: 'whether the processes would accept these files, before they are started with them',
  help: `tidal check [--topology FILE] [--schema FILE] [--keys FILE] [--against-cluster]

Says of each file whether it is accepted, and all mistakes of those that are not. Nothing is changed.

  --topology         regions and their addresses (TIDAL_TOPOLOGY)
  --schema           signals, fields and profiles (TIDAL_SCHEMA). A region also refuses a schema that contradicts the data it has:
                     changed half-lives or dimensions, removed signals
  --keys             keys of the public surface (TIDAL_API_KEYS_FILE)
  --against-cluster  what the topology changes in the cluster at --url, and what has to be restarted
${clusterHelp}`,
  async run(args) {
    const path = { type: 'string' } as const;
    const options = { topology: path, schema: path, keys: path, 'against-cluster': { type: 'boolean' } } as const;
    const { text, flag, client } = clusterArguments(args, { options });
    const given = kinds.flatMap((kind) => {
      const file = text(kind);
      return file === undefined ? [] : [{ kind, file: resolve(file) }];
    });
    if (given.length === 0)
      throw new ConfigError(`give at least one of ${kinds.map((kind) => `--${kind}`).join(', ')}`);
    if (flag('against-cluster') && text('topology') === undefined) {
      throw new ConfigError('--against-cluster compares a topology: give --topology');
    }
    let refused = 0;
    for (const { kind, file } of given) {
      const flaw = flawOf(kind, file);
      if (flaw !== undefined) refused++;
      say(flaw === undefined ? `${file}: accepted` : flaw.includes(file) ? flaw : `${file}: ${flaw}`);
    }
    if (refused > 0) throw new CommandError(`${refused} of ${given.length} files would be refused`);
    if (flag('against-cluster')) {
      const wanted = loadTopology(resolve(text('topology')!)).regions.map(({ name }) => name);
      const { regions } = await client.status();
      const present = regions.map(({ name }) => name);
      for (const line of changesOf(present, wanted)) say(line);
    }
  },
};

function flawOf(kind: (typeof kinds)[number], file: string): string | undefined {
  try {
    if (kind === 'topology') loadTopology(file);
    else if (kind === 'schema') loadSchema(file);
    else parseKeys(readConfigFile(file), file);
    return undefined;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.message;
  }
}

/** What a new list of regions changes. */
export function changesOf(present: readonly string[], wanted: readonly string[]): readonly string[] {
  const added = wanted.filter((name) => !present.includes(name));
  const removed = present.filter((name) => !wanted.includes(name));
  if (added.length + removed.length === 0)
    return ['the cluster has these regions: nothing has to be restarted for their names'];
  return [
    ...added.map((name) => `added: ${name}`),
    ...removed.map((name) => `removed: ${name}; its process refuses to start with this file`),
    'restart every process with the file, one after another: the new regions first, then followers, the leader, routers',
  ];
}
