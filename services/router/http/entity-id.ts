/** An entity id in a path. */
import { Refusal } from '../../../shared/errors/errors.ts';

export function entityIdOf(text: string | undefined): number {
  const id = Number(text);
  if (text !== undefined && /^\d{1,16}$/.test(text) && Number.isSafeInteger(id)) return id;
  const message = 'must be an integer from 0 to 9007199254740991';
  throw new Refusal('invalid_request', `the item id ${message}`, { errors: [{ path: 'id', message }] });
}
