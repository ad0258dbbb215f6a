/**
 * JSON of clients: the checks before and after parsing, and the location of a syntax error.
 *
 * Before: nesting and width, in one scan that ends at the first excess, so that an expensive body costs no more than its bytes.
 * After: numbers that a 64-bit floating-point number cannot represent. `JSON.parse` rounds them silently, and an id that is
 * returned as its neighbour is worse than a refusal; only the text shows it, so the same scan records where it has to be checked.
 */
import { clip, Refusal } from '../errors/errors.ts';

/** Writes need 4, internal requests 5. */
export const JSON_DEPTH_LIMIT = 16;
/** Metadata has at most 256. */
export const JSON_MEMBERS_LIMIT = 1_024;
/** Above the number of texts that fit one event (256 KiB), and above the writes of a bulk. */
export const JSON_ELEMENTS_LIMIT = 100_000;

export interface JsonRules {
  /** `allowed`: between processes, which write exact values. */
  readonly inexact?: 'refused' | 'allowed';
}

/** Any JSON value. `at` prefixes the error: `line 3`. */
export function parseJson(text: string, at = '', { inexact = 'refused' }: JsonRules = {}): unknown {
  const where = at === '' ? '' : `${at}: `;
  const suspect = inexactNumber(text, where);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw notJson(text, where);
  }
  if (suspect !== undefined && inexact === 'refused') throw notKept(text, suspect, where);
  return value;
}

function notJson(text: string, where: string): Refusal {
  if (text.trim() === '') return new Refusal('invalid_json', `${where}the body is empty; send a JSON value`);
  const position = jsonErrorPosition(text);
  const found = position >= text.length ? 'the end' : `"${text.slice(position, position + 10)}"`;
  return new Refusal('invalid_json', `${where}not valid JSON at position ${position}, before ${found}`, {
    errors: [{ path: `${where}position ${position}`, message: 'not valid JSON here' }],
  });
}

function notKept(text: string, position: number, where: string): Refusal {
  const path = pathOf(text, position);
  const number = /^[-+.\deE]+/.exec(text.slice(position, position + 2_000))![0];
  const shown = clip(number, 40);
  const message = `is ${shown}, which would not come back as it was sent`;
  return new Refusal('invalid_request', `${where}${path === '' ? 'the number' : path} ${message}`, {
    hint: 'numbers are integers up to ±9007199254740991 or decimals of about 15 digits (64-bit floating point); send others as strings',
    errors: [{ path: `${where}${path}`, message }],
  });
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const MINUS = 0x2d;
const DOT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const OPEN_ARRAY = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** Integers of up to this many digits, and decimals of up to this many bytes, are represented whatever the digits. */
const EXACT_DIGITS = 15;
const DECIMAL_LIMIT_BYTES = 300;

/**
 * The offset of the first number that changes when it is parsed. Throws a `Refusal` for texts that are too deep or too wide. Does
 * not check the syntax: for a text that is not JSON the result has no meaning.
 *
 * Arrays of numbers are skipped: they are vectors, whose values are rounded to 32 bits anyway, or refused elsewhere.
 */
function inexactNumber(text: string, where: string): number | undefined {
  let suspect: number | undefined;
  let depth = 0;
  /** Commas that the containers around this one may still have, and this one. */
  const left: number[] = [];
  let leftHere = 0;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit === QUOTE) {
      at = closingQuote(text, at + 1);
    } else if (unit <= NINE && (unit >= ZERO || unit === MINUS)) {
      const end = numberEnd(text, at);
      if (end < 0) suspect ??= at;
      at = Math.abs(end) - 1;
    } else if (unit === COMMA) {
      if (--leftHere === 0) throw tooWide(where);
    } else if (unit === OPEN_OBJECT || unit === OPEN_ARRAY) {
      if (depth === JSON_DEPTH_LIMIT) throw tooDeep(where);
      if (unit === OPEN_ARRAY) {
        numbers.lastIndex = at + 1;
        if (numbers.test(text)) {
          at = numbers.lastIndex - 1;
          continue;
        }
      }
      left[depth++] = leftHere;
      leftHere = unit === OPEN_OBJECT ? JSON_MEMBERS_LIMIT : JSON_ELEMENTS_LIMIT;
    } else if ((unit === CLOSE_OBJECT || unit === CLOSE_ARRAY) && depth > 0) {
      leftHere = left[--depth]!;
    }
  }
  return suspect;
}

/** The elements of an array of numbers. */
const numbers = /[\d\-+.eE,\s]*\]/y;

function tooDeep(where: string): Refusal {
  return new Refusal('invalid_request', `${where}the JSON is nested more than ${JSON_DEPTH_LIMIT} deep`, {
    hint: 'no route needs more than 4 levels',
  });
}

function tooWide(where: string): Refusal {
  const limits = `${JSON_MEMBERS_LIMIT} members of an object and ${JSON_ELEMENTS_LIMIT} elements of an array`;
  return new Refusal('invalid_request', `${where}the JSON has more than ${limits}`);
}

/** The closing quote of the string whose first unit is at `at`, or the end of the text. */
function closingQuote(text: string, at: number): number {
  for (let end = at; end < text.length; end++) {
    const unit = text.charCodeAt(end);
    if (unit === QUOTE) return end;
    if (unit === BACKSLASH) end++;
  }
  return text.length;
}

/** The unit after the number that begins at `start`; negative if the number changes when it is parsed. */
function numberEnd(text: string, start: number): number {
  let at = start;
  let unit = text.charCodeAt(at);
  const negative = unit === MINUS;
  if (negative) unit = text.charCodeAt(++at);
  let digits = 0;
  let isZero = true;
  for (; unit >= ZERO && unit <= NINE; unit = text.charCodeAt(++at)) {
    digits++;
    if (unit !== ZERO) isZero = false;
  }
  let doubtful = digits > EXACT_DIGITS;
  if (unit === DOT) {
    const fraction = at + 1;
    for (unit = text.charCodeAt(++at); unit >= ZERO && unit <= NINE; unit = text.charCodeAt(++at)) {
      if (unit !== ZERO) isZero = false;
    }
    if (at - start > EXACT_DIGITS) doubtful ||= at - start > DECIMAL_LIMIT_BYTES || mayBecomeWhole(text, fraction);
  }
  if (unit === 0x65 || unit === 0x45) {
    doubtful = true;
    unit = text.charCodeAt(++at);
    if (unit === 0x2b || unit === MINUS) unit = text.charCodeAt(++at);
    while (unit >= ZERO && unit <= NINE) unit = text.charCodeAt(++at);
  }
  if (!doubtful) return negative && isZero ? -at : at;
  return isKept(text.slice(start, at)) ? at : -at;
}

/** A fraction that would be lost begins with zeros or with nines. */
function mayBecomeWhole(text: string, fraction: number): boolean {
  const unit = text.charCodeAt(fraction);
  return (unit === ZERO || unit === NINE) && text.charCodeAt(fraction + 1) === unit;
}

/** The smallest number of full precision. */
const LEAST_NORMAL = 2.2250738585072014e-308;
/** From here on a number has less precision than one decimal of its fraction: only exact ones are accepted. */
const LEAST_COARSE = 1e15;

/** Whether a 64-bit floating-point number represents the number: integers exactly, decimals to the nearest. */
function isKept(number: string): boolean {
  const value = Math.abs(Number(number));
  // A text that is not a number is refused as JSON.
  if (Number.isNaN(value)) return true;
  const written = decimalOf(number);
  if (written.digits === '') return !number.startsWith('-');
  if (value < LEAST_NORMAL || value > Number.MAX_SAFE_INTEGER) return false;
  if (value < LEAST_COARSE && !Number.isInteger(value)) return true;
  const held = decimalOf(value.toFixed(3));
  return written.digits === held.digits && written.exponent === held.exponent;
}

/** `digits` times ten to the `exponent`, without zeros at either end. */
function decimalOf(number: string): { readonly digits: string; readonly exponent: number } {
  const [mantissa = '', exponent = '0'] = number.toLowerCase().split('e');
  const [whole = '', fraction = ''] = mantissa.replace('-', '').split('.');
  const all = (whole + fraction).replace(/^0+/, '');
  const digits = all.replace(/0+$/, '');
  return { digits, exponent: Number(exponent) - fraction.length + (all.length - digits.length) };
}

const beforeColon = /\s*:/y;

/** The path of the value that begins at `position` of a JSON text, in the format of refusals of writes: `[3]: metadata.tweet`. */
function pathOf(text: string, position: number): string {
  const around: (string | number)[] = [];
  for (let at = 0; at < position; at++) {
    const unit = text.charCodeAt(at);
    if (unit === QUOTE) {
      const end = closingQuote(text, at + 1);
      // Names are the only strings that are followed by a colon.
      beforeColon.lastIndex = end + 1;
      if (beforeColon.test(text)) around[around.length - 1] = JSON.parse(text.slice(at, end + 1)) as string;
      at = end;
    } else if (unit === OPEN_OBJECT) around.push('');
    else if (unit === OPEN_ARRAY) around.push(0);
    else if (unit === CLOSE_OBJECT || unit === CLOSE_ARRAY) around.pop();
    else if (unit === COMMA) {
      const index = around.at(-1);
      if (typeof index === 'number') around[around.length - 1] = index + 1;
    }
  }
  const isBulk = typeof around[0] === 'number' && around.length > 1;
  let path = '';
  for (const step of isBulk ? around.slice(1) : around) {
    if (typeof step === 'number') path += `[${step}]`;
    else path += `${path === '' ? '' : '.'}${clip(step)}`;
  }
  return isBulk ? `[${around[0]}]: ${path}` : path;
}

const literal = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.+-])|(?:true|false|null)(?!\w)/y;
const escaped = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;

/** The exclusive end of the string that starts at `start`; undefined if it is not one. */
function stringEnd(text: string, start: number): number | undefined {
  for (let position = start + 1; position < text.length; position += 1) {
    const code = text.charCodeAt(position);
    if (code === 0x22) return position + 1;
    if (code < 0x20) return undefined;
    if (code !== 0x5c) continue;
    escaped.lastIndex = position;
    if (!escaped.test(text)) return undefined;
    position = escaped.lastIndex - 1;
  }
  return undefined;
}

/** The exclusive end of the number or name that starts at `start`; undefined if it is neither. */
function literalEnd(text: string, start: number): number | undefined {
  literal.lastIndex = start;
  return literal.test(text) ? literal.lastIndex : undefined;
}

/** The offset of the error in an invalid JSON text, in UTF-16 units. The engine reports it only sometimes. */
export function jsonErrorPosition(text: string): number {
  const open: string[] = [];
  let want: 'value' | 'value or ]' | 'key' | 'key or }' | ':' | 'comma or close' = 'value';
  for (let position = 0; ; ) {
    while (' \t\n\r'.includes(text[position] ?? '.')) position += 1;
    const mark = text[position] ?? '';
    let end: number | undefined = position + 1;
    if (want === 'comma or close') {
      const inside = open.at(-1);
      if (inside === undefined) return position;
      if (mark === ',') want = inside === '{' ? 'key' : 'value';
      else if (mark === (inside === '{' ? '}' : ']')) open.pop();
      else return position;
    } else if (want === ':') {
      if (mark !== ':') return position;
      want = 'value';
    } else if ((mark === '}' && want === 'key or }') || (mark === ']' && want === 'value or ]')) {
      open.pop();
      want = 'comma or close';
    } else if (want === 'key' || want === 'key or }') {
      end = mark === '"' ? stringEnd(text, position) : undefined;
      want = ':';
    } else if (mark === '{' || mark === '[') {
      open.push(mark);
      want = mark === '{' ? 'key or }' : 'value or ]';
    } else {
      end = mark === '"' ? stringEnd(text, position) : literalEnd(text, position);
      want = 'comma or close';
    }
    if (end === undefined) return position;
    position = end;
  }
}
