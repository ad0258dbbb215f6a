/** One `filter=` parameter: `category:music`, `category:a|b`, `category:!a|b` (neither), `year>=1990`. */
import { Refusal } from '../../../shared/errors/errors.ts';
import type { Filter } from '../state/facets/facets.ts';

const shape = /^([^:<>]+)(:|>=|<=|>|<)(.*)$/s;
const number = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;
const HINT = 'filters are field:value, field:a|b, field:!a, field>=1990, and with <=, > and < likewise';

/** Throws `Refusal` `invalid_request`. */
export function parseFilter(text: string): Filter {
  const match = shape.exec(text);
  if (match === null) throw malformed(text, 'must name a field, an operator (: >= <= > <) and a value');
  const [, field, operator, rest] = match as unknown as [string, string, ':' | '>=' | '<=' | '>' | '<', string];
  if (operator === ':') return parseValues(text, field, rest);
  if (!number.test(rest) || !Number.isFinite(Number(rest))) {
    throw malformed(text, `compares by ${operator} with something that is not a number`);
  }
  return { field, operator, values: [rest] };
}

function parseValues(text: string, field: string, rest: string): Filter {
  const negated = rest.startsWith('!');
  const values = (negated ? rest.slice(1) : rest).split('|');
  if (values.includes('')) throw malformed(text, 'has an empty value');
  if (values.some((value) => value.startsWith('!'))) throw malformed(text, 'may have one ! only, before all values');
  return { field, operator: negated ? 'not_in' : 'in', values };
}

function malformed(text: string, message: string): Refusal {
  const shown = text.length > 64 ? `${text.slice(0, 64)}…` : text;
  return new Refusal('invalid_request', `filter "${shown}" ${message}`, {
    hint: HINT,
    errors: [{ path: 'filter', message }],
  });
}
