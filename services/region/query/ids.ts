/** Lists of item ids, as parameters and in bodies. */
import { entityIdOf, entityIdOfText } from '../../../shared/protocol/entity-id.ts';
import { invalid } from './invalid.ts';

/** `1,2,3`: 1 to `limit` ids, each returned once, in the order given. Throws `invalid_request`. */
export function parseIds(name: string, text: string, limit: number): readonly number[] {
  if (text.trim() === '') throw invalid(name, 'is required', `${name}=1,2,3`);
  return checkedIds(name, text.split(','), limit, (one) => entityIdOfText(one.trim()));
}

/** The same as an array of integers. */
export function parseIdArray(name: string, value: unknown, limit: number): readonly number[] {
  if (!Array.isArray(value)) throw invalid(name, 'must be an array of item ids');
  return checkedIds(name, value, limit, entityIdOf);
}

function checkedIds<T>(
  name: string,
  given: readonly T[],
  limit: number,
  read: (one: T) => number | string,
): readonly number[] {
  if (given.length > limit) throw invalid(name, `has ${given.length} ids; at most ${limit} are accepted`);
  const ids = new Set<number>();
  for (const [index, one] of given.entries()) {
    const id = read(one);
    if (typeof id === 'string') throw invalid(`${name}[${index}]`, id);
    ids.add(id);
  }
  return [...ids];
}
