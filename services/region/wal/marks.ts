/** The marks of a store, and its format, which is one of them. */
import { Fault } from '../../../shared/errors/errors.ts';
import { formatFlaw } from '../../../shared/protocol/version.ts';
import type { Store } from '../store/store.ts';
import { decodeJson } from './documents.ts';

/** By name. Throws `Fault('unknown_format')` for a store that a later version has written: its rows may mean something else. */
export function readMarks(store: Pick<Store, 'range'>): Map<string, unknown> {
  const marks = new Map<string, unknown>();
  for (const { key, value } of store.range('marks', {})) marks.set(key, decodeJson(value));
  const flaw = formatFlaw(marks.get('format'));
  if (flaw !== undefined) throw new Fault('unknown_format', flaw);
  return marks;
}
