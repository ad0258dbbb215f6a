/**
 * How filters are written; docs/api.md, “Filters”, has the grammar and its meaning.
 *
 * One pass without a lexer, because where a word ends depends on where it stands: names and values may have spaces and most signs
 * without quotes. What could also be meant in another way, by the spelling of another product, is refused, so that no filter has
 * a meaning that it does not show.
 */
import { boundOf, type Comparison, type Filter, timeOf } from '../filter.ts';
import { canonical, textOf } from './canonical.ts';

/** Limit of one filter, in characters. */
export const FILTER_LIMIT_CHARACTERS = 4_096;
/** Limit of the comparisons of one filter, and of all filters of a request. */
export const COMPARISONS_LIMIT = 128;
/** Limit of parentheses and `NOT` within each other. */
export const DEPTH_LIMIT = 16;

export const filterSyntax =
  'comparisons are field:value, field:a|b, field:!a, with = != < <= > >= and ~ (any case) likewise, field in [a, b], field:[1..9] and field exists; AND, OR, NOT and parentheses join them; what has other signs stands in "double quotes"';

/** What is wrong with a filter. */
export interface FilterProblem {
  /** The first character that does not fit, from 1. */
  readonly position: number;
  /** What was expected there, or cannot stand there. */
  readonly problem: string;
}

/** The filter, or what is wrong with the text. */
export function readFilter(text: string): Filter | FilterProblem {
  try {
    return new Reader(text).filter();
  } catch (error) {
    if (error instanceof Misfit) return error;
    throw error;
  }
}

/** The filter that holds where all of these hold, in its canonical form, as text. */
export function canonicalText(filters: readonly Filter[]): string {
  let text = canonicalTexts.get(filters);
  if (text === undefined) {
    text = textOf(canonical({ operator: 'and', filters }));
    canonicalTexts.set(filters, text);
  }
  return text;
}

/** A read asks for it several times. */
const canonicalTexts = new WeakMap<readonly Filter[], string>();

/** Number of comparisons. */
export function sizeOf(filter: Filter): number {
  if ('filter' in filter) return sizeOf(filter.filter);
  if (!('filters' in filter)) return 1;
  return filter.filters.reduce((sum, each) => sum + sizeOf(each), 0);
}

class Misfit implements FilterProblem {
  readonly position: number;
  readonly problem: string;

  constructor(at: number, problem: string) {
    this.position = at + 1;
    this.problem = problem;
  }
}

/** A value, and where it begins. */
interface Word {
  readonly text: string;
  readonly at: number;
}

/** In the order in which they are tried. */
const operators = ['!=', '<=', '>=', '=', '<', '>', '~'] as const;
type Operator = (typeof operators)[number] | ':';

const accepted = 'an operator (: = != < <= > >= ~, in [..], exists)';
/** What a name without quotes has none of. */
const notInNames = /[()[\]{}"|,&]/;
/** A comparison within a value, after a space: probably one of its own. */
const comparisonWithin = /[\p{L}_][\p{L}\p{N}_.-]*(?:\s*(?:[<>=~]|!=)|:(?![\s/]|$))/uy;

/** Where a value stands: after a colon, after another operator, or in a list. */
type Place = 'colon' | 'operator' | 'list';

class Reader {
  private readonly text: string;
  private at = 0;
  /** Parentheses that are open here. */
  private open = 0;
  private depth = 0;
  private comparisons = 0;

  constructor(text: string) {
    this.text = text;
  }

  filter(): Filter {
    if (this.text.length > FILTER_LIMIT_CHARACTERS) {
      throw new Misfit(FILTER_LIMIT_CHARACTERS, `at most ${FILTER_LIMIT_CHARACTERS} characters are accepted`);
    }
    const filter = this.any();
    if (this.at < this.text.length) throw this.misfit('expected AND, OR or the end');
    return filter;
  }

  private any(): Filter {
    const filters = [this.all()];
    while (this.takeWord('OR')) filters.push(this.all());
    return filters.length === 1 ? filters[0]! : { operator: 'or', filters };
  }

  private all(): Filter {
    const filters = [this.one()];
    while (this.takeWord('AND')) filters.push(this.one());
    return filters.length === 1 ? filters[0]! : { operator: 'and', filters };
  }

  private one(): Filter {
    this.skip();
    const start = this.at;
    if (this.takeWord('NOT')) return this.within(start, () => ({ operator: 'not', filter: this.one() }));
    if (!this.take('(')) return this.comparison();
    return this.within(start, () => {
      this.open++;
      const filter = this.any();
      if (!this.take(')')) throw this.misfit('expected AND, OR or )');
      this.open--;
      this.skip();
      return filter;
    });
  }

  private within(start: number, read: () => Filter): Filter {
    if (this.depth === DEPTH_LIMIT)
      throw new Misfit(start, `at most ${DEPTH_LIMIT} parentheses and NOT within each other`);
    this.depth++;
    const filter = read();
    this.depth--;
    return filter;
  }

  private comparison(): Filter {
    if (++this.comparisons > COMPARISONS_LIMIT)
      throw this.misfit(`at most ${COMPARISONS_LIMIT} comparisons are accepted`);
    const field = this.field();
    if (this.takeKeyword('exists')) return { field, operator: 'exists', values: [] };
    if (this.takeKeyword('in')) return this.list({ field, operator: 'in', negated: false });
    const operator = this.operator();
    if (operator === '<' || operator === '<=' || operator === '>' || operator === '>=') {
      return { field, operator, values: [this.bound(this.word('operator'))] };
    }
    let negated = operator === '!=';
    this.skip();
    if (operator !== '!=' && this.take('!')) negated = true;
    const equal = { field, operator: operator === '~' ? ('same_letters' as const) : ('in' as const), negated };
    this.skip();
    if (this.text[this.at] === '[') return this.list(equal);
    const place = operator === ':' ? 'colon' : 'operator';
    const values = [this.word(place).text];
    while (this.take('|')) {
      this.skip();
      if (this.text[this.at] === '!') throw this.misfit('expected a value; there may be one ! only, before all values');
      values.push(this.word(place).text);
    }
    return comparisonOf(equal, values);
  }

  /** `[a, b]`, or `[1..9]`. */
  private list(equal: Equal): Filter {
    if (!this.take('[')) throw this.misfit('expected [');
    const first = this.takeRange() ? undefined : this.word('list');
    if (first === undefined || this.takeRange()) {
      const last = this.skip() !== ']' || first === undefined ? this.word('list') : undefined;
      this.closeList('expected ]');
      return this.range(equal, first, last);
    }
    const values = [first.text];
    while (this.take(',')) values.push(this.word('list').text);
    this.closeList('expected a comma, .. or ]');
    return comparisonOf(equal, values);
  }

  private closeList(expected: string): void {
    if (!this.take(']')) throw this.misfit(expected);
    this.skip();
  }

  private takeRange(): boolean {
    this.skip();
    if (!this.text.startsWith('..', this.at)) return false;
    this.at += 2;
    return true;
  }

  private range({ field, operator, negated }: Equal, first: Word | undefined, last: Word | undefined): Filter {
    const at = (first ?? last)!.at;
    if (operator !== 'in') throw new Misfit(at, 'expected values: a range has no case');
    const from = first && this.bound(first);
    const to = last && this.bound(last);
    let filter: Comparison;
    if (from === undefined) filter = { field, operator: '<=', values: [to!] };
    else if (to === undefined) filter = { field, operator: '>=', values: [from] };
    else if (boundOf(from)!.of === boundOf(to)!.of) filter = { field, operator: 'between', values: [from, to] };
    else throw new Misfit(last!.at, 'expected a bound of the same kind: two numbers, or two times');
    return negated ? { operator: 'not', filter } : filter;
  }

  private bound({ text, at }: Word): string {
    if (boundOf(text) === undefined)
      throw new Misfit(at, 'expected a number or an RFC 3339 time; texts have no order here');
    return text;
  }

  private field(): string {
    this.skip();
    const start = this.at;
    if (this.text[start] === '"') return this.quoted();
    for (; this.at < this.text.length; this.at++) {
      const sign = this.text[this.at]!;
      if (':=<>~'.includes(sign) || this.text.startsWith('!=', this.at)) break;
      if (notInNames.test(sign)) {
        if (this.at === start) break;
        throw this.misfit(`expected ${accepted}; a field with ${sign} in its name stands in double quotes`);
      }
      if (this.at > start && !isSpace(this.text[this.at - 1])) continue;
      if (this.isKeyword('exists') || this.isKeyword('in')) break;
      const word = this.wordHere();
      if (word !== undefined)
        throw this.misfit(this.at === start ? 'expected a comparison' : `expected ${accepted}, not ${word}`);
    }
    const field = this.text.slice(start, this.at).trim();
    if (field === '') throw new Misfit(start, 'expected a comparison: a field, an operator and a value');
    const first = /^[-+!'`]/.exec(field)?.[0];
    if (first !== undefined) {
      throw new Misfit(
        start,
        `expected a field without ${first} before it: NOT negates, and other names stand in double quotes`,
      );
    }
    if (field.endsWith('!'))
      throw new Misfit(this.at - 1, 'expected the ! after the operator, as in field:!value or field!=value');
    return field;
  }

  /** A colon before another operator adds nothing: `year:>=1990`. */
  private operator(): Operator {
    this.skip();
    const colon = this.take(':');
    const start = this.at;
    if (colon) this.skip();
    for (const operator of operators) {
      if (colon && operator === '~') continue;
      if (this.text.startsWith(operator, this.at)) {
        this.at += operator.length;
        return operator;
      }
    }
    if (!colon) throw this.misfit(`expected ${accepted}`);
    this.at = start;
    return ':';
  }

  private word(place: Place): Word {
    this.skip();
    const start = this.at;
    if (this.text[start] === '"') return { text: this.quoted(), at: start };
    for (let inner = 0; this.at < this.text.length && !this.endsWord(place, start, inner); this.at++) {
      if (this.text[this.at] === '(') inner++;
      else if (this.text[this.at] === ')' && inner > 0) inner--;
    }
    const text = this.text.slice(start, this.at).trim();
    // A plus that was not percent-encoded arrives as a space.
    const time = text.replace(/ (?=\d{2}:\d{2}$)/, '+');
    if (timeOf(time) !== undefined) return { text: time, at: start };
    const other = otherMeaning(text, place);
    if (other !== undefined) throw new Misfit(start, other);
    return { text, at: start };
  }

  /** Whether a value without quotes, with so many open parentheses of its own, ends before the present character. */
  private endsWord(place: Place, start: number, inner: number): boolean {
    const { text, at } = this;
    const sign = text[at]!;
    if (place === 'list') {
      if (sign === ',' || sign === ']' || text.startsWith('..', at)) return true;
      if (sign === '|') throw this.misfit('expected a comma between values');
    } else if (sign === '|' || (sign === ')' && inner === 0 && this.open > 0)) return true;
    if (text.startsWith('&&', at)) throw this.misfit('expected AND, not &&');
    if (at > start && !isSpace(text[at - 1])) return false;
    const word = this.wordHere();
    if (word !== undefined) {
      if (at > start && inner === 0 && word !== 'NOT') return true;
      throw this.misfit(
        at === start
          ? `expected a value, not ${word}`
          : `expected AND or OR; a value with ${word} stands in double quotes`,
      );
    }
    comparisonWithin.lastIndex = at;
    if (at > start && comparisonWithin.test(text)) {
      throw this.misfit('expected AND or OR before another comparison; a value with operators stands in double quotes');
    }
    return false;
  }

  private quoted(): string {
    const start = this.at++;
    let text = '';
    for (;;) {
      const sign = this.text[this.at++];
      if (sign === undefined) throw new Misfit(start, 'expected a closing double quote');
      if (sign === '"') break;
      if (sign !== '\\') text += sign;
      else {
        const next = this.text[this.at++];
        if (next !== '"' && next !== '\\')
          throw new Misfit(this.at - 2, 'expected \\" or \\\\: a backslash in quotes stands before these only');
        text += next;
      }
    }
    this.skip();
    return text;
  }

  /** The word that joins comparisons here, if there is one. */
  private wordHere(): string | undefined {
    words.lastIndex = this.at;
    return words.exec(this.text)?.[1];
  }

  private takeWord(word: string): boolean {
    this.skip();
    if (this.wordHere() !== word) return false;
    this.at += word.length;
    return true;
  }

  private isKeyword(keyword: 'exists' | 'in'): boolean {
    const pattern = keyword === 'in' ? listAfter : existsEnd;
    pattern.lastIndex = this.at;
    return pattern.test(this.text);
  }

  private takeKeyword(keyword: 'exists' | 'in'): boolean {
    this.skip();
    if (!this.isKeyword(keyword)) return false;
    this.at += keyword.length;
    this.skip();
    return true;
  }

  private take(sign: string): boolean {
    if (this.skip() !== sign) return false;
    this.at++;
    return true;
  }

  /** Skips spaces; returns the character after them. */
  private skip(): string | undefined {
    while (isSpace(this.text[this.at])) this.at++;
    return this.text[this.at];
  }

  private misfit(expected: string): Misfit {
    return new Misfit(this.at, expected);
  }
}

const words = /(AND|OR|NOT)(?=[\s()"]|$)/y;
const listAfter = /in\s*\[/iy;
const existsEnd = /exists\s*(?:$|\)|(?:AND|OR)(?:[\s("]|$))/iy;

function isSpace(sign: string | undefined): boolean {
  return sign !== undefined && /\s/.test(sign);
}

interface Equal {
  readonly field: string;
  readonly operator: 'in' | 'same_letters';
  readonly negated: boolean;
}

function comparisonOf({ field, operator, negated }: Equal, values: readonly string[]): Filter {
  if (operator === 'in') return { field, operator: negated ? 'not_in' : 'in', values };
  const filter: Comparison = { field, operator, values };
  return negated ? { operator: 'not', filter } : filter;
}

/** What a value without quotes would mean elsewhere, and how that is written here; undefined: nothing. */
function otherMeaning(text: string, place: Place): string | undefined {
  if (text === '') return 'expected a value; an empty one is written ""';
  if (text.startsWith('!')) return 'expected a value; there may be one ! only, before all values';
  if (/^[=<>]/.test(text)) return 'expected a value, not another operator';
  if (/^[[{]/.test(text)) return 'expected a value; lists and ranges are field:[a, b] and field:[1..9]';
  if (isInParentheses(text))
    return 'expected a value without parentheses: alternatives are field:a|b or field in [a, b]';
  if (/^(['`]).*\1$/s.test(text)) return 'expected double quotes';
  if (text === '*') return 'expected a value; that there is one is written: field exists';
  if (text.endsWith('*'))
    return 'expected a value; there are no wildcards, and a value that ends in * stands in double quotes';
  const [first, last, ...more] = text.split(/\.\.|\s+TO\s+/);
  const isBound = (side: string): boolean => side === '' || boundOf(side) !== undefined;
  if (
    last !== undefined &&
    more.length === 0 &&
    first! + last !== '' &&
    (place === 'list' || (isBound(first!) && isBound(last)))
  ) {
    return 'expected a value; ranges are field:[1..9]';
  }
  if (place === 'operator' && /[:<>=]/.test(text)) {
    return 'expected a value; one with operators in it stands in double quotes';
  }
  return undefined;
}

function isInParentheses(text: string): boolean {
  if (!text.startsWith('(') || !text.endsWith(')')) return false;
  let open = 0;
  for (let at = 0; at < text.length - 1; at++) {
    if (text[at] === '(') open++;
    else if (text[at] === ')') open--;
    if (open === 0) return false;
  }
  return true;
}
