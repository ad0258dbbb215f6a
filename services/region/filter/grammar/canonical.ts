/** The canonical form of filters: equal expressions are equal texts, which can be read again. */
import { boundOf, type Combination, type Comparison, comparable, type Filter, timeOf } from '../filter.ts';

/** In no order, nothing twice, no combination in one of its kind, no negation of a negation. */
export function canonical(filter: Filter): Filter {
  if ('filters' in filter) return combined(filter);
  if (!('filter' in filter)) return compared(filter);
  const inner = canonical(filter.filter);
  if ('filter' in inner) return inner.filter;
  if (inner.operator === 'in') return { ...inner, operator: 'not_in' };
  if (inner.operator === 'not_in') return { ...inner, operator: 'in' };
  return { operator: 'not', filter: inner };
}

function combined({ operator, filters }: Combination): Filter {
  const parts = new Map<string, Filter>();
  for (const each of filters.map(canonical)) {
    for (const part of 'filters' in each && each.operator === operator ? each.filters : [each])
      parts.set(textOf(part), part);
  }
  if (parts.size === 1) return [...parts.values()][0]!;
  const sorted = [...parts].sort(([a], [b]) => (a < b ? -1 : 1));
  return { operator, filters: sorted.map(([, part]) => part) };
}

function compared(filter: Comparison): Filter {
  const { field, operator, values } = filter;
  switch (operator) {
    case 'exists':
      return filter;
    case 'in':
    case 'not_in':
    case 'same_letters':
      return { field, operator, values: [...new Set(values.map(comparable))].sort() };
    case 'between': {
      const [from, to] = values.map(canonicalBound) as [string, string];
      if (boundOf(from)!.of === 'time') return { field, operator, values: [from, to] };
      return combined({
        operator: 'and',
        filters: [
          { field, operator: '>=', values: [from] },
          { field, operator: '<=', values: [to] },
        ],
      });
    }
    default:
      return { field, operator, values: values.map(canonicalBound) };
  }
}

function canonicalBound(text: string): string {
  const { of, at } = boundOf(text)!;
  if (of === 'number') return String(at);
  const whole = new Date(at).toISOString();
  // The offset may lead beyond the years that have four digits.
  return timeOf(whole) === at ? whole : text;
}

/** As it could have been written. */
export function textOf(filter: Filter): string {
  if ('filter' in filter) return `NOT ${inParentheses(filter.filter)}`;
  if ('filters' in filter) {
    return filter.filters.map(inParentheses).join(filter.operator === 'and' ? ' AND ' : ' OR ');
  }
  const { operator, values } = filter;
  const field = quoted(filter.field);
  const list = (separator: string): string => `[${values.map(quoted).join(separator)}]`;
  switch (operator) {
    case 'exists':
      return `${field} exists`;
    case 'in':
      return `${field}:${list(', ')}`;
    case 'not_in':
      return `${field}:!${list(', ')}`;
    case 'same_letters':
      return `${field}~${list(', ')}`;
    case 'between':
      return `${field}:${list('..')}`;
    default:
      return `${field}${operator}${quoted(values[0]!)}`;
  }
}

function inParentheses(filter: Filter): string {
  return 'filters' in filter ? `(${textOf(filter)})` : textOf(filter);
}

function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}
