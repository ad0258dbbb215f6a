/** The operations that read: each is answered by one region. */
import type { ProblemCode } from '../../../shared/errors/errors.ts';
import {
  feedParameters,
  itemParameters,
  itemsParameters,
  searchFields,
  searchParameters,
  suggestParameters,
} from '../../../shared/protocol/read-parameters.ts';
import { closed, examplesOf, type Operation, type Response, ref } from './document.ts';
import { answerHeaders, asFields, entityInPath, inQuery, ofReads, ofTaggedReads } from './parameters.ts';
import { refusals } from './problem-responses.ts';

/** What a region, or the router in its place, may say. */
const ofRegions: readonly ProblemCode[] = [
  'unknown_region',
  'not_ready',
  'region_unreachable',
  'version_mismatch',
  'configuration_refused',
  'shutting_down',
  'position_not_reached',
];
const ofBodies: readonly ProblemCode[] = ['invalid_json', 'unknown_field', 'body_too_large', 'unsupported_media_type'];
const ofLists: readonly ProblemCode[] = ['invalid_filter', 'unknown_profile'];
const ofFeeds: readonly ProblemCode[] = [...ofLists, 'unknown_item', 'no_embedding'];
const ofSearches: readonly ProblemCode[] = [...ofLists, 'invalid_query'];

interface Read {
  readonly id: string;
  readonly summary: string;
  readonly description?: string;
  readonly parameters: Operation['parameters'];
  readonly body?: Operation['requestBody'];
  readonly answer: string;
  /** Its pages are continued by a cursor. */
  readonly paged?: boolean;
  /** It may have an entity tag. */
  readonly tagged?: boolean;
  readonly codes: readonly ProblemCode[];
}

function read({ id, summary, description, parameters, body, answer, paged, tagged, codes }: Read): Operation {
  const cursor = '$response.body#/next_cursor';
  const given = body === undefined ? { parameters: { cursor } } : { requestBody: { cursor } };
  const answered: Response = {
    description: 'The result.',
    headers: answerHeaders(...(tagged ? (['ETag', 'Cache-Control'] as const) : [])),
    content: { 'application/json': { schema: ref(answer) } },
    ...(paged
      ? {
          links: { next: { operationId: id, description: 'The next page, with the same other parameters.', ...given } },
        }
      : {}),
  };
  const same: Response = {
    description: 'What the client has (`If-None-Match`) is what it would be answered.',
    headers: answerHeaders('ETag', 'Cache-Control'),
  };
  return {
    ...{ operationId: id, summary },
    ...(description === undefined ? {} : { description }),
    ...{ tags: ['reads'], security: [{ key: ['read'] }] },
    parameters: [...parameters, ...(tagged ? ofTaggedReads : ofReads)],
    ...(body === undefined ? {} : { requestBody: body }),
    responses: {
      200: answered,
      ...(tagged ? { 304: same } : {}),
      ...refusals('keyed', [...(body === undefined ? [] : ofBodies), ...codes, ...ofRegions]),
    },
    'x-repeatable': 'always',
  };
}

export const readOperations = {
  'GET /items/{id}': read({
    ...{ id: 'getItem', summary: 'An item with its signals', answer: 'ItemAnswer', tagged: true },
    parameters: [entityInPath, ...inQuery(itemParameters)],
    codes: ['unknown_item'],
  }),
  'GET /items': read({
    ...{ id: 'getItems', summary: 'Several items by their ids', answer: 'ItemsAnswer', tagged: true, codes: [] },
    parameters: inQuery(itemsParameters, { required: ['ids'] }),
  }),
  'GET /feed': read({
    ...{ id: 'getFeed', summary: 'A page of a ranked feed', answer: 'FeedAnswer', tagged: true, paged: true },
    parameters: inQuery(feedParameters),
    codes: ofFeeds,
  }),
  'POST /feed': read({
    ...{
      id: 'postFeed',
      summary: 'A page of a ranked feed, for what does not fit a request line',
      answer: 'FeedAnswer',
      paged: true,
    },
    parameters: [],
    body: {
      required: true,
      content: {
        'application/json': {
          schema: closed({}, asFields(feedParameters)),
          examples: examplesOf({
            default: {},
            filtered: {
              profile: 'new',
              limit: 5,
              filter: ['category:music', 'year>=1950'],
              exclude: [7],
              fields: ['title', 'year'],
            },
            related: { profile: 'related', entity_id: 1, explain: true },
            shuffled: { profile: 'shuffle', seed: 7, max_per: 'category:2', sort: 'year:desc' },
            counted: { profile: 'top', facets: ['category', 'year[..1960,1960..]'], facet_limit: 3 },
          }),
        },
      },
    },
    codes: ofFeeds,
  }),
  'GET /search': read({
    ...{ id: 'getSearch', summary: 'A page of a search by text', answer: 'SearchAnswer', tagged: true, paged: true },
    parameters: inQuery(searchParameters, { required: ['query'] }),
    codes: ofSearches,
  }),
  'POST /search': read({
    ...{
      id: 'postSearch',
      summary: 'A page of a search by text, by vector, or by both',
      answer: 'CombinedSearchAnswer',
      paged: true,
    },
    description: '`query`, `vector` or both are required.',
    parameters: [],
    body: {
      required: true,
      content: {
        'application/json': {
          schema: closed({}, asFields(searchFields)),
          examples: examplesOf({
            text: { query: 'jazz', limit: 5, highlight: ['title'], snippet_length: 40 },
            vector: { vector: [0.1, 0.2, 0.3, 0.4] },
            both: { query: 'five', vector: [0.1, 0.2, 0.3, 0.4], explain: true, filter: 'category:music' },
            counted: { query: '*', facets: ['category', 'year[..1960,1960..]'], facet_limit: 3, sort: 'year' },
            weighed: { query: 'five', profile: 'hot', profile_weight: 0.5, matching: 'any' },
          }),
        },
      },
    },
    codes: [...ofSearches, 'wrong_dimensions'],
  }),
  'GET /suggest': read({
    ...{ id: 'suggest', summary: 'Completions of a text', answer: 'SuggestAnswer', codes: [] },
    parameters: inQuery(suggestParameters, {
      required: ['prefix'],
      own: { limit: { type: 'integer', minimum: 1, maximum: 50, default: 10 } },
    }),
  }),
} as const satisfies Readonly<Record<string, Operation>>;
