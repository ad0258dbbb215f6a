/** One `filter=` parameter: `category:music`, `category:a|b`, `category:!a|b` (neither), `year>=1990`. */
import { Refusal } from '../../../shared/errors/errors.ts';
import { type Filter, filterSyntax, readFilter } from '../../../shared/protocol/filter.ts';

/** Throws `Refusal` `invalid_request`. */
export function parseFilter(text: string): Filter {
  const filter = readFilter(text);
  if (!('problem' in filter)) return filter;
  const shown = text.length > 64 ? `${text.slice(0, 64)}…` : text;
  throw new Refusal('invalid_request', `filter "${shown}" ${filter.problem}`, {
    hint: filterSyntax,
    errors: [{ path: 'filter', message: filter.problem }],
  });
}
