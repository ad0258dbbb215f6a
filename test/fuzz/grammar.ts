/**
 * What each public route takes, as requests are drawn from it. A new route needs a line in `grammars`, a new parameter or field a
 * word in a line; `test/unit/fuzz` fails for a route that has none.
 */
import type { Random } from '../../shared/kernel/kernel.ts';
import { chance, drawBetween } from '../harness/kernel/seeded-random.ts';
import {
  between,
  type Draw,
  entity,
  excluded,
  explain,
  facets,
  fields,
  filter,
  filters,
  highlight,
  ids,
  limit,
  maxPer,
  metadata,
  oneOf,
  patch,
  position,
  profile,
  region,
  searchQuery,
  signal,
  sort,
  text,
  time,
  vector,
  weight,
  yes,
} from './values.ts';

/** A request before it is mutated and written. */
export interface Drawn {
  readonly method: string;
  /** With `:id` filled in. */
  path: string;
  readonly query: [name: string, value: string][];
  /** Undefined: none. */
  body: unknown;
  /** The elements of an array body are lines. */
  lines: boolean;
}

export interface Grammar {
  /** How often the route is drawn, beside the others. */
  readonly weight: number;
  readonly draw: (random: Random) => Omit<Drawn, 'method' | 'path'> & { readonly id?: unknown };
}

type Fields = Readonly<Record<string, Draw>>;

const OPTIONAL_SHARE = 0.2;
const BULK_SHARE = 0.2;
const LINES_SHARE = 0.5;

/** Members of `required`, and some of `optional`. */
function drawFields(random: Random, required: Fields, optional: Fields): Record<string, unknown> {
  const chosen = Object.entries(optional).filter(() => chance(random, OPTIONAL_SHARE));
  return Object.fromEntries([...Object.entries(required), ...chosen].map(([name, draw]) => [name, draw(random)]));
}

/** Parameters; an empty text is left out. */
function read(required: Fields, optional: Fields, more: Partial<Grammar> = {}): Grammar {
  const draw = (random: Random) => ({
    query: Object.entries(drawFields(random, required, optional))
      .map(([name, value]): [string, string] => [name, String(value)])
      .filter(([, value]) => value !== ''),
    body: undefined,
    lines: false,
    id: entity(random),
  });
  return { weight: 1, draw, ...more };
}

function body(required: Fields, optional: Fields, more: Partial<Grammar> = {}): Grammar {
  const draw = (random: Random) => ({
    ...{ query: [], body: drawFields(random, required, optional), lines: false, id: entity(random) },
  });
  return { weight: 1, draw, ...more };
}

/** A body that may be one of many, as an array or as lines. */
function writes(required: Fields, optional: Fields): Grammar {
  const draw = (random: Random) => {
    const one = (): Record<string, unknown> => drawFields(random, required, optional);
    if (!chance(random, BULK_SHARE)) return { query: [], body: one(), lines: false, id: entity(random) };
    const count = chance(random, 0.02) ? drawBetween(random, 500, 2_000) : drawBetween(random, 1, 20);
    return { query: [], body: Array.from({ length: count }, one), lines: chance(random, LINES_SHARE) };
  };
  return { weight: 1, draw };
}

const common: Fields = { region, at: time, min_position: position };
const counted: Fields = { sort, fields, facets, facet_limit: between(1, 20) };
const pages: Fields = { ...common, ...counted, limit, max_per: maxPer, cursor: oneOf('a.b', 'AAAA') };
const paged: Fields = { ...pages, filter, exclude: ids, explain };
/** As fields of a body. */
const pagedBody: Fields = { ...pages, filter: filters, exclude: excluded, explain: yes };
const feed: Fields = {
  profile,
  window: oneOf('1h', '24h', '7d', 'all'),
  entity_id: entity,
  seed: between(0, 9),
  user_id: entity,
};

const search: Fields = {
  profile,
  profile_weight: oneOf(0, 0.5, 100),
  highlight,
  snippet_length: between(20, 200),
  syntax: oneOf('plain', 'lunr'),
  matching: oneOf('most', 'all', 'any'),
};

/** A drill of a follower that ends by itself, and leaderships that change nothing. */
const follower = oneOf('ap-south');
const leader = oneOf('us-east');
const seldom = { weight: 0.05 };

export const grammars: Readonly<Record<string, Grammar>> = {
  'POST /items': writes({ entity_id: entity, metadata }, {}),
  'PATCH /items/:id': body({ metadata: patch }, {}),
  'DELETE /items/:id': read({}, {}, { weight: 0.3 }),
  'POST /embeddings': writes({ entity_id: entity, values: vector }, {}),
  'POST /signals': writes({ entity_id: entity, signal }, { weight, timestamp: time, retract: yes }),
  'DELETE /signals': writes({ entity_id: entity, signal }, { weight, timestamp: time, position, retract: yes }),
  'GET /items/:id': read({}, { ...common, fields }),
  'GET /items': read({ ids }, { ...common, fields }),
  'GET /feed': read({}, { ...paged, ...feed }),
  'POST /feed': body({}, { ...pagedBody, ...feed }),
  'GET /search': read({ query: searchQuery }, { ...paged, ...search }),
  'POST /search': body({}, { ...pagedBody, ...search, query: searchQuery, vector }),
  'GET /suggest': read({ prefix: text }, { ...common, limit }),
  'GET /health': read({}, { probe: entity }, { weight: 0.2 }),
  'GET /health/live': read({}, {}, { weight: 0.1 }),
  'GET /health/ready': read({}, {}, { weight: 0.1 }),
  'GET /metrics': read({}, {}, { weight: 0.02 }),
  'GET /metrics/nats': read({}, {}, { weight: 0.02 }),
  'GET /openapi.json': read({}, {}, { weight: 0.02 }),
  'GET /cluster/status': read({}, {}, { weight: 0.1 }),
  'GET /': read({}, {}, { weight: 0.02 }),
  'GET /cluster/live': read({}, {}, seldom),
  'GET /cluster/events': read({}, { limit: between(0, 300), after: between(0, 20) }, seldom),
  'POST /cluster/promote': body({ region: leader }, { force: yes }, seldom),
  'POST /cluster/partition': body({ region: follower, heal_after: oneOf(1, '1s', 0.5) }, {}, seldom),
  'POST /cluster/heal': body({ region }, { wait: oneOf(false) }, seldom),
  'POST /cluster/drill': body({ id: oneOf('abcdefgh', 'hgfedcba'), title: oneOf('A drill') }, {}, seldom),
  'POST /cluster/drill/end': body({ id: oneOf('abcdefgh', 'hgfedcba') }, {}, seldom),
  'POST /cluster/drill/stop': body({}, {}, { weight: 0.005 }),
  'POST /cluster/retire-disk': body({ disk: oneOf('aaaaaaaaaaaaa') }, {}, seldom),
  'GET /cluster/quarantine': read({}, {}, seldom),
  'POST /cluster/quarantine': body(
    { origin: oneOf('us-east@aaaaaaaaaaaaa'), sequence: entity },
    { last: entity },
    seldom,
  ),
  'POST /cluster/trace': body({}, { position: oneOf('us-east@aaaaaaaaaaaaa:1'), key: text, request_id: text }, seldom),
  'POST /cluster/verify': body({}, {}, { weight: 0.005 }),
};

const names = Object.keys(grammars);
const totalWeight = Object.values(grammars).reduce((sum, grammar) => sum + grammar.weight, 0);

/** A request that the surface takes, of a route drawn by weight. `fraction` is from 0 up to 1. */
export function drawRequest(random: Random, fraction: number): Drawn & { readonly route: string } {
  let left = fraction * totalWeight;
  const route = names.find((name) => {
    left -= grammars[name]!.weight;
    return left < 0;
  })!;
  const [method = '', pattern = ''] = route.split(' ');
  const { id, ...drawn } = grammars[route]!.draw(random);
  return { route, method, path: pattern.replace(':id', String(id)), ...drawn };
}
