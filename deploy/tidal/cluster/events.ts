/** `tidal events`: the journal of the cluster. */
import type { cluster } from '../../../shared/client/client.ts';
import type { Command } from '../command.ts';
import { clusterArguments, clusterHelp } from './request.ts';
import { tableOf } from './table.ts';

export const events: Command = {
  summary: 'what happened to the cluster: leaders, partitions, starts, merges',
  help: `tidal events [--limit N] [--after ID]

The newest last. Needs the scope admin.

  --limit  how many, the newest; 1 to 256, default 50
  --after  only those with a higher id
${clusterHelp}`,
  async run(args) {
    const { text, client, answer } = clusterArguments(args, {
      options: { limit: { type: 'string' }, after: { type: 'string' } },
    });
    const numbers = (['limit', 'after'] as const).flatMap((name) => {
      const given = text(name);
      return given === undefined ? [] : [[name, Number(given)]];
    });
    answer(await client.events(Object.fromEntries(numbers)), describeJournal);
  },
};

function describeJournal({ events: newest, stale }: cluster.JournalAnswer): string {
  const table = tableOf([...newest].reverse(), [
    ['ID', ({ id }) => id],
    ['AT', ({ at }) => at],
    ['WHAT', sentenceOf],
    ['BY', ({ key }) => key ?? ''],
  ]);
  return stale === true ? `${table}\nNATS does not answer: later entries may be missing` : table;
}

function sentenceOf({
  kind,
  region = '',
  previous,
  epoch,
  how,
  left_behind: left,
  heal_at,
  version,
  what,
}: cluster.JournalEntry): string {
  switch (kind) {
    case 'leader_changed': {
      const former = previous === undefined ? '' : ` after ${previous}`;
      const lacking = left === undefined || left === 0 ? '' : `, ${left ?? 'an unknown number of'} events left behind`;
      return `${region} leads since epoch ${epoch}${former}${how === undefined ? '' : ` (${how}${lacking})`}`;
    }
    case 'partitioned':
      return `${region} partitioned${heal_at === undefined ? '' : ` until ${heal_at}`}`;
    case 'healed':
      return `${region} healed`;
    case 'region_started':
      return `${region} started${version === undefined ? '' : `, version ${version}`}`;
    case 'merge_ended':
      return `merge after epoch ${epoch} ended: all regions have what ${region || 'the former leader'} accepted`;
    case 'disk_retired':
      return `disk ${what} retired`;
    case 'event_set_aside':
      return `${what} set aside`;
    default:
      // Of a later version.
      return `${kind} ${region}`;
  }
}
