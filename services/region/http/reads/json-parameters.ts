/** Parameters of a read given as a JSON body: those of the request line, which has no capacity for all of them. */
import type { Context } from 'koa';
import { clip, Refusal } from '../../../../shared/errors/errors.ts';
import type { BodyBudget } from '../../../../shared/http/body-budget.ts';
import { decodeText, readBody, requireType } from '../../../../shared/http/http-body.ts';
import { parseJson } from '../../../../shared/http/json-text.ts';
import { EXCLUDE_LIMIT } from '../../../../shared/protocol/internal.ts';
import { invalid, parseIdArray } from '../../query/query.ts';

export interface JsonBodies {
  /** Limit of all bodies in memory together, bytes. */
  readonly bodies: BodyBudget;
  readonly maxBodyBytes: number;
}

export async function readJson(ctx: Context, { bodies, maxBodyBytes }: JsonBodies): Promise<unknown> {
  requireType(ctx, ['application/json']);
  const share = bodies.share();
  try {
    return parseJson(decodeText(await readBody(ctx, maxBodyBytes, share.take)));
  } finally {
    share.giveBack();
  }
}

export interface BodyFields {
  readonly route: string;
  /** In the order in which refusals list them. */
  readonly names: readonly string[];
  /** Of a body, for a refusal. */
  readonly example: string;
}

/** Refuses what is not an object, and unknown fields by name. */
export function bodyFields(body: unknown, { route, names, example }: BodyFields): Record<string, unknown> {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new Refusal('invalid_request', 'the body must be a JSON object', { hint: `for example ${example}` });
  }
  for (const name of Object.keys(body)) {
    if (names.includes(name)) continue;
    throw new Refusal('unknown_field', `${clip(name)} is not a field of ${route}`, {
      hint: `accepted fields: ${names.join(', ')}`,
      errors: [{ path: clip(name), message: 'unknown field' }],
    });
  }
  return body as Record<string, unknown>;
}

type Value = string | number | boolean;

interface Kind {
  readonly message: string;
  is(value: unknown): value is Value;
}

const isText = (value: unknown): value is string => typeof value === 'string';
const isNumber = (value: unknown): value is number => typeof value === 'number';
const text: Kind = { message: 'must be a text', is: isText };
/** Fields that are not texts; what their values may be is checked as in a request line. */
const kinds: Readonly<Record<string, Kind | undefined>> = {
  limit: { message: 'must be an integer from 1 to 200', is: isNumber },
  at: { message: 'must be a time', is: (value): value is Value => isText(value) || isNumber(value) },
  entity_id: { message: 'must be an item id, an integer', is: isNumber },
  seed: { message: 'must be a text or a number', is: (value): value is Value => isText(value) || isNumber(value) },
  profile_weight: { message: 'must be a number from 0 to 100', is: isNumber },
  facet_limit: { message: 'must be an integer from 1 to 1000', is: isNumber },
  snippet_length: { message: 'must be an integer from 20 to 2000', is: isNumber },
  explain: { message: 'must be true or false', is: (value): value is Value => typeof value === 'boolean' },
};

/** Fields that are texts, or lists of them, which commas join. */
const lists: readonly string[] = ['sort', 'fields', 'facets', 'highlight'];

/** The parameters that these fields give. Throws `invalid_request` for one that has another type. */
export function parametersOf(fields: Readonly<Record<string, unknown>>): URLSearchParams {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(fields)) {
    if (name === 'filter') for (const filter of textsOf(name, value)) parameters.append(name, filter);
    else if (lists.includes(name)) parameters.append(name, textsOf(name, value).join(','));
    else if (name === 'exclude') parameters.append(name, parseIdArray(name, value, EXCLUDE_LIMIT).join(','));
    else {
      const kind = (Object.hasOwn(kinds, name) ? kinds[name] : undefined) ?? text;
      if (!kind.is(value)) throw invalid(name, kind.message);
      parameters.append(name, String(value));
    }
  }
  return parameters;
}

function textsOf(name: string, value: unknown): readonly string[] {
  const texts = Array.isArray(value) ? value : [value];
  if (!texts.every(isText)) throw invalid(name, 'must be a text or an array of texts');
  return texts;
}
