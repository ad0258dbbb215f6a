/**
 * The parameters of the public reads: a region refuses all others, and the OpenAPI document of the router has an entry for each. In the
 * order in which refusals list them.
 */

/** Of `GET /items/:id`. */
export const itemParameters = ['fields', 'region', 'min_position', 'at'] as const;
export const itemsParameters = ['ids', ...itemParameters] as const;
export const suggestParameters = ['prefix', 'limit', 'region', 'min_position'] as const;

/** Of `GET /feed`; fields of `POST /feed`. */
export const feedParameters = [
  'profile',
  'limit',
  'cursor',
  'filter',
  'exclude',
  'max_per',
  'sort',
  'fields',
  'facets',
  'facet_limit',
  'window',
  'entity_id',
  'seed',
  'explain',
  'at',
  'user_id',
  'region',
  'min_position',
] as const;

/** Of `GET /search`. */
export const searchParameters = [
  'query',
  'limit',
  'cursor',
  'filter',
  'exclude',
  'max_per',
  'profile',
  'profile_weight',
  'sort',
  'fields',
  'facets',
  'facet_limit',
  'highlight',
  'snippet_length',
  'explain',
  'at',
  'region',
  'min_position',
  'syntax',
  'matching',
] as const;

const [query, ...others] = searchParameters;
/** Of `POST /search`. */
export const searchFields = [query, 'vector', ...others] as const;

/** The profiles every region has, in the order they are listed. No profile of a schema has one of these names. */
export const builtInProfiles = [
  'trending',
  'hot',
  'new',
  'top',
  'best',
  'rising',
  'controversial',
  'debated',
  'hidden_gems',
  'most_viewed',
  'most_liked',
  'shuffle',
  'related',
] as const;
