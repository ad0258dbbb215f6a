/** Texts of searches in either syntax. */
import type { TextQuery } from '../../../../services/region/state/text/query/query.ts';

export function lunrQuery(text: string): TextQuery {
  return { text, syntax: 'lunr' };
}

export function plainQuery(text: string, matching?: TextQuery['matching']): TextQuery {
  return { text, matching };
}
