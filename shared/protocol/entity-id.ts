/**
 * Entity ids as clients write them, in bodies, paths and parameters: the same ids are refused everywhere, with the same error.
 */
import { Refusal } from '../errors/errors.ts';
import { isCount } from './events.ts';

/** The id, or what is wrong with it, as the rest of a sentence: "must be …". */
export function entityIdOf(value: unknown): number | string {
  return isCount(value) ? value + 0 : `must be an integer from 0 to ${Number.MAX_SAFE_INTEGER}`;
}

/** As {@link entityIdOf}, of text: digits are a number. */
export function entityIdOfText(text: string): number | string {
  return entityIdOf(/^\d{1,16}$/.test(text) ? Number(text) : undefined);
}

/** The id in the path `/items/:id`. Throws a `Refusal`. */
export function entityIdOfPath(text: string | undefined): number {
  const entity = entityIdOfText(text ?? '');
  if (typeof entity === 'number') return entity;
  throw new Refusal('invalid_request', `the item id ${entity}`, { errors: [{ path: 'id', message: entity }] });
}
