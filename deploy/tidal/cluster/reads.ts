/** `tidal feed`, `search` and `items get`: what clients of a cluster are answered. */
import type { api } from '../../../shared/client/client.ts';
import { ConfigError } from '../../../shared/errors/config-error.ts';
import type { Command } from '../command.ts';
import { clusterArguments, clusterHelp } from './request.ts';
import { tableOf } from './table.ts';

const text = { type: 'string' } as const;
const listOptions = { region: text, limit: text, filter: text, cursor: text } as const;
const listHelp = `
  --region  the region that answers; default: the leader, or another that can
  --limit   items
  --filter  as in docs/api.md, such as 'category:music AND year>=2000'
  --cursor  the next page: what the page before has printed
`;

export const feed: Command = {
  summary: 'a page of a feed',
  help: `tidal feed [--profile NAME] [--region REGION] [--limit N] [--filter FILTER] [--cursor CURSOR]

Needs the scope read.

  --profile  trending, new, hot, … or one of the schema; default trending${listHelp}${clusterHelp}`,
  async run(args) {
    const { text: given, client, answer } = clusterArguments(args, { options: { ...listOptions, profile: text } });
    const listed = await client.feed({ profile: given('profile') ?? 'trending', ...fieldsOf(given) });
    answer(listed, describeList);
  },
};

export const search: Command = {
  summary: 'a page of a search for words',
  help: `tidal search WORD… [--region REGION] [--limit N] [--filter FILTER] [--cursor CURSOR]

Needs the scope read.
${listHelp}${clusterHelp}`,
  async run(args) {
    const { words, text: given, client, answer } = clusterArguments(args, { words: ['WORD…'], options: listOptions });
    answer(await client.search({ query: words.join(' '), ...fieldsOf(given) }), describeList);
  },
};

export const getItem: Command = {
  summary: 'an item with its signals',
  help: `tidal items get ID [--region REGION]

Needs the scope read.

  --region  the region that answers
${clusterHelp}`,
  async run(args) {
    const { words, text: given, client, answer } = clusterArguments(args, { words: ['ID'], options: { region: text } });
    const [id = ''] = words;
    if (!/^\d{1,16}$/.test(id)) throw new ConfigError(`ID must be a whole number from 0, not "${id}"`);
    const region = given('region');
    const item = await client.getItem(Number(id), region === undefined ? {} : { region });
    answer(item, () => JSON.stringify(item, undefined, 2));
  },
};

/** A limit that is no number is refused by the router, which says what would be accepted. */
function fieldsOf(given: (name: string) => string | undefined) {
  const { limit, ...texts } = Object.fromEntries(
    Object.keys(listOptions).flatMap((name) => {
      const value = given(name);
      return value === undefined ? [] : [[name, value]];
    }),
  ) as Partial<Record<keyof typeof listOptions, string>>;
  return { ...texts, ...(limit === undefined ? {} : { limit: Number(limit) }) };
}

/** The items of a page, and by which region they are answered. */
export function describeList({
  region,
  position,
  lag_events,
  items,
  next_cursor,
}: Pick<api.FeedAnswer, 'region' | 'position' | 'lag_events' | 'items' | 'next_cursor'>): string {
  const rows = tableOf(items, [
    ['RANK', ({ rank }) => rank],
    ['ID', ({ entity_id }) => entity_id],
    ['SCORE', ({ score }) => Number(score.toPrecision(6))],
    ['METADATA', ({ metadata }) => shortened(JSON.stringify(metadata))],
  ]);
  const lag = lag_events === null ? 'an unknown number of' : lag_events;
  const next = next_cursor === null ? '' : `\nnext page: --cursor ${next_cursor}`;
  return `${rows}\n\n${region}, ${lag} events behind the leader, at ${position || 'the empty position'}${next}`;
}

const SHOWN = 100;

function shortened(json: string): string {
  return json.length > SHOWN ? `${json.slice(0, SHOWN - 1)}…` : json;
}
