/** `tidal trace`: where a write is. */
import { type cluster, type TidalClient, TidalProblem } from '../../../shared/client/client.ts';
import { parsePosition } from '../../../shared/protocol/position.ts';
import type { Command } from '../command.ts';
import { clusterArguments, clusterHelp, orSaid } from './request.ts';
import { tableOf } from './table.ts';

export const trace: Command = {
  summary: 'where a write is: in which regions',
  help: `tidal trace POSITION|IDEMPOTENCY_KEY|REQUEST_ID

Which regions have the write on their disks, and which show it. A position is what a write was answered with; a key is asked for in every
region, for its seven days; a request id (x-request-id) is known to the router that accepted the write, for its newest 10,000. Needs the
scope admin.
${clusterHelp}`,
  async run(args) {
    const { words, client, answer } = clusterArguments(args, {
      words: ['POSITION|IDEMPOTENCY_KEY|REQUEST_ID'],
    });
    const [word = ''] = words;
    answer(await orSaid(found(client, word)), describeTrace);
  },
};

/** A word that is no position is a key, or else the id of a request. */
async function found(client: Pick<TidalClient, 'trace'>, word: string): Promise<cluster.TraceAnswer> {
  if (parsePosition(word) !== undefined) return client.trace({ position: word });
  try {
    return await client.trace({ key: word });
  } catch (error) {
    if (!(error instanceof TidalProblem) || error.code !== 'unknown_event') throw error;
    return client.trace({ request_id: word }).catch((second: unknown) => {
      // What is known of keys says more.
      throw second instanceof TidalProblem && second.code === 'unknown_event' ? error : second;
    });
  }
}

function describeTrace({ position, writes = [], regions }: cluster.TraceAnswer): string {
  const used = writes.map(
    ({ route, origin, first, last, accepted_at: at, retraction }) =>
      `${origin}:${first === last ? first : `${first}-${last}`} accepted ${at} (${route}${retraction === true ? ', taken back' : ''})`,
  );
  const table = tableOf(regions, [
    ['REGION', ({ name }) => name],
    ['ON DISK', ({ durable }) => yesOf(durable)],
    ['SHOWN', ({ applied }) => yesOf(applied)],
    ['LACKS', ({ lacking_events: lacking }) => lacking ?? '?'],
  ]);
  return [...used, `position ${position}`, '', table].join('\n');
}

function yesOf(value: boolean | null): string {
  return value === null ? '?' : value ? 'yes' : 'no';
}
