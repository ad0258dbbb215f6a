/** Reads the text index in one turn. */
import type { TextReading } from '../../../services/region/search/search.ts';

export const atOnce: TextReading = {
  run: async (attempt) => attempt(),
  now: (attempt) => ({ value: attempt() }),
  position: () => '',
};
