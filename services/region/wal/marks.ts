/** The marks of a store, and its format, which is one of them. */
import { Fault } from '../../../shared/errors/errors.ts';
import { formatFlaw } from '../../../shared/protocol/version.ts';
import type { Store } from '../store/store.ts';
import { decodeJson } from './documents.ts';
import { DamagedRow, markNames } from './wal.ts';

/**
 * By name. Throws `Fault('unknown_format')` for a store that a later version has written: its rows may mean something else; and
 * {@link DamagedRow}, but for two marks that a start can do without: the stream offset, a hint, is then absent, and the checkpoint
 * position is not one, so that the log is replayed instead, if it still begins at 1.
 */
export function readMarks(store: Pick<Store, 'get'>): Map<string, unknown> {
  const flaw = formatFlaw(formatOf(store.get('marks', 'format')));
  if (flaw !== undefined) throw new Fault('unknown_format', flaw);
  const marks = new Map<string, unknown>();
  for (const name of [...markNames, 'offset']) {
    try {
      const value = store.get('marks', name);
      if (value !== undefined) marks.set(name, decodeJson(value));
    } catch (error) {
      if (!(error instanceof DamagedRow)) throw error;
      if (name === 'checkpoint') marks.set(name, { damaged: error.message });
      else if (name !== 'offset') throw error;
    }
  }
  return marks;
}

function formatOf(stored: Uint8Array | undefined): unknown {
  if (stored === undefined) return undefined;
  try {
    return decodeJson(stored);
  } catch {
    return Buffer.from(stored).toString('latin1');
  }
}
