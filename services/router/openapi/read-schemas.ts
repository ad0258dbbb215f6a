/** The answers of reads. */
import { array, count, nullable, number, object, type Properties, record, ref, type Schema, text } from './document.ts';

/** How a word of an item may match one of the query; compared with those of the text index by a test. */
export const matches = ['exact', 'prefix', 'typo', 'wildcard', 'synonym', 'phrase'];

/** What every read answers beside its result. */
const context: Properties = {
  region: text('The region that answers.'),
  position: ref('Position', 'What it has applied.'),
  lag_events: nullable(count('Events of the leader that it lacks, as last reported; null before the first report.')),
  at: text('The read time.', { format: 'date-time' }),
};

const item: Properties = {
  entity_id: ref('EntityId'),
  metadata: ref('Metadata'),
  created_at: text('The lowest creation time of all its puts.', { format: 'date-time' }),
  updated_at: text(undefined, { format: 'date-time' }),
  embedding: nullable(array(number(), { description: 'Null without one.' })),
  signals: ref('Signals'),
};

const list: Properties = {
  ...context,
  items: array(ref('RankedItem')),
  next_cursor: nullable(text('For the next page; null after the last.')),
};
const relaxed = array(text(), {
  description: 'Limits that shaped the page or the search, and what of the request they changed.',
});
const found: Properties = {
  ...list,
  total_matched: count('Items of the result.'),
  relaxed,
};
const counted: Properties = {
  facets: record(
    array(
      object({
        value: { type: ['string', 'number'], description: 'A value, or a range as it was asked for.' },
        count: count(),
      }),
    ),
    'By field that was asked for: its values with the number of items that have them, the most frequent first.',
  ),
  facet_stats: record(object({ min: number(), max: number() }), 'Of the fields with numbers.'),
};
const foundSometimes: Properties = { query: text('As it was asked.'), ...counted };

export const readSchemas: Readonly<Record<string, Schema>> = {
  Signals: record(
    record({ type: ['number', 'null'] }),
    'By signal with events: the sum of its weights in each of its windows, and `decayed`; null: not known for this read time any more.',
  ),
  ItemAnswer: object({ ...context, ...item }),
  StoredItem: object(item),
  ItemsAnswer: object({
    ...context,
    items: array(ref('StoredItem'), { description: 'In the order asked for, each once.' }),
    missing: array(ref('EntityId'), { description: 'Ids without an item.' }),
    remaining: array(ref('EntityId'), {
      description: 'Items that would make the answer too large: ask for them next.',
    }),
  }),
  ScorePart: object(
    {
      term: text('The measurement, such as `view velocity 24h` or `title:jazz`.'),
      value: number('The measurement, before its weight.'),
      weight: number(),
      part: number('Its part of the score; the parts add up to it.'),
    },
    {
      asked: text('Of a text: the word or phrase of the query that it is for.'),
      match: text('How the two match.', { enum: matches }),
      word: text('The word of the item.'),
      distance: count('Edits between the two, of a typo.', { minimum: 1 }),
    },
  ),
  RankedItem: object(
    {
      entity_id: ref('EntityId'),
      rank: count('From 1, over all pages.', { minimum: 1 }),
      score: number(),
      metadata: ref('Metadata'),
      signals: ref('Signals'),
    },
    {
      explain: array(ref('ScorePart'), { description: 'With `explain`.' }),
      highlights: record(
        { anyOf: [text(), array(text())] },
        'With `highlight`: by field that has a word of the query, with `<mark>`; all else is escaped.',
      ),
      pinned: { type: 'boolean', const: true, description: 'A curation of the schema puts it first.' },
    },
  ),
  FeedAnswer: object(
    {
      ...list,
      profile: text(),
      total_scored: count('Items that pass the filters and the gates of the profile.'),
      relaxed,
      notes: array(text(), { description: 'Parameters without effect.' }),
    },
    counted,
  ),
  SearchAnswer: object(found, foundSometimes),
  CombinedSearchAnswer: object(
    { ...found, candidates: object({}, { text: count(), vector: count() }, 'How many items each list contributed.') },
    foundSometimes,
  ),
  SuggestAnswer: object({
    region: context.region!,
    position: context.position!,
    prefix: text(),
    suggestions: array(object({ text: text(), documents: count('Items that have the word.') })),
  }),
};
