/**
 * HTML in texts: tags, comments, scripts and styles separate words, entities stand for characters.
 *
 * The result has as many characters as the text, so that offsets remain. One pass, linear in the length.
 */
import { finish, type Steps } from '../../../../../shared/kernel/steps.ts';
import { FILL } from './characters.ts';

const elements = new Set(
  `a abbr acronym address applet area article aside audio b base basefont bdi bdo big blockquote body br button canvas caption
center cite code col colgroup data datalist dd del details dfn dialog dir div dl dt em embed fieldset figcaption figure font footer
form frame frameset h1 h2 h3 h4 h5 h6 head header hgroup hr html i iframe img input ins kbd label legend li link main map mark
marquee menu meta meter nav nobr noframes noscript object ol optgroup option output p param picture pre progress q rp rt ruby s samp
script search section select slot small source span strike strong style sub summary sup svg table tbody td template textarea tfoot
th thead time title tr track tt u ul var video wbr`.split(/\s+/),
);

/** The entities of Latin-1 from U+00A0 on. */
const latin =
  `nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg macr deg plusmn sup2 sup3 acute micro para middot
cedil sup1 ordm raquo frac14 frac12 frac34 iquest Agrave Aacute Acirc Atilde Auml Aring AElig Ccedil Egrave Eacute Ecirc Euml Igrave
Iacute Icirc Iuml ETH Ntilde Ograve Oacute Ocirc Otilde Ouml times Oslash Ugrave Uacute Ucirc Uuml Yacute THORN szlig agrave aacute
acirc atilde auml aring aelig ccedil egrave eacute ecirc euml igrave iacute icirc iuml eth ntilde ograve oacute ocirc otilde ouml
divide oslash ugrave uacute ucirc uuml yacute thorn yuml`.split(/\s+/);
const entities = new Map<string, string>([
  ...latin.map((name, index) => [name, String.fromCharCode(0xa0 + index)] as const),
  ...Object.entries({
    ...{ amp: '&', quot: '"', apos: "'", OElig: 'Œ', oelig: 'œ', Scaron: 'Š', scaron: 'š', Yuml: 'Ÿ', fnof: 'ƒ' },
    ...{ ndash: '–', mdash: '—', lsquo: '‘', rsquo: '’', sbquo: '‚', ldquo: '“', rdquo: '”', bdquo: '„', hellip: '…' },
    ...{
      zwnj: '\u200c',
      zwj: '\u200d',
      lrm: '\u200e',
      rlm: '\u200f',
      ensp: '\u2002',
      emsp: '\u2003',
      thinsp: '\u2009',
    },
    ...{ bull: '•', euro: '€', trade: '™', hearts: '♥', star: '☆', inodot: 'ı', Lstrok: 'Ł', lstrok: 'ł', num: '#' },
    ...{
      Ccaron: 'Č',
      ccaron: 'č',
      Zcaron: 'Ž',
      zcaron: 'ž',
      Sacute: 'Ś',
      sacute: 'ś',
      hyphen: '-',
      sol: '/',
      plus: '+',
    },
    // A sign that belongs to markup is only punctuation when it is meant literally.
    ...{ lt: ' ', gt: ' ' },
  }),
]);

const SIGNS_A_STEP = 256;
const entity = /&(?:#(\d{1,7})|#[xX]([\da-fA-F]{1,6})|([a-zA-Z]{2,8}\d{0,2}));/y;
/** What stands between these tags is no text. */
const endOfScript = /<\/script[^<>]*>/gi;
const endOfStyle = /<\/style[^<>]*>/gi;
const tagName = /<\/?([a-zA-Z][a-zA-Z0-9:-]*)/y;

/** Whether `text.slice(from, end)` may have markup. */
export function hasMarkup(text: string, from: number, end: number): boolean {
  for (let at = from; at < end; at++) {
    const unit = text.charCodeAt(at);
    if (unit === 60 || unit === 38) return true;
  }
  return false;
}

/** The text with blanks for tags, and characters for entities. */
export function withoutMarkup(text: string): string {
  return finish(removingMarkup(text));
}

/** The same; a step is some tags or entities. */
export function* removingMarkup(text: string): Steps<string> {
  if (!text.includes('<') && !text.includes('&')) return text;
  const pieces: string[] = [];
  let done = 0;
  let hasComments = true;
  /** Elements of code that are not closed from here on. */
  const unclosed = new Set<string>();
  let signs = 0;
  for (let at = nextSign(text, 0); at >= 0; at = nextSign(text, Math.max(at + 1, done))) {
    if (++signs % SIGNS_A_STEP === 0) yield;
    if (text[at] === '&') {
      entity.lastIndex = at;
      const found = entity.exec(text);
      const character = found === null ? undefined : characterOf(found);
      if (character === undefined) continue;
      pieces.push(text.slice(done, at), character, FILL.repeat(entity.lastIndex - at - character.length));
      done = entity.lastIndex;
      continue;
    }
    let end = -1;
    if (hasComments && text.startsWith('<!--', at)) {
      const closing = text.indexOf('-->', at + 4);
      if (closing < 0) hasComments = false;
      else end = closing + 3;
    }
    if (end < 0) end = endOfTag(text, at);
    if (end < 0) continue;
    const [, code] = /^<(script|style)\b/i.exec(text.slice(at, at + 8)) ?? [];
    if (code !== undefined && !unclosed.has(code.toLowerCase())) {
      const closing = code.toLowerCase() === 'script' ? endOfScript : endOfStyle;
      closing.lastIndex = end;
      if (closing.test(text)) end = closing.lastIndex;
      else unclosed.add(code.toLowerCase());
    }
    pieces.push(text.slice(done, at), ' '.repeat(end - at));
    done = end;
  }
  pieces.push(text.slice(done));
  return pieces.join('');
}

function nextSign(text: string, from: number): number {
  for (let at = from; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit === 60 || unit === 38) return at;
  }
  return -1;
}

function characterOf([, decimal, hexadecimal, name]: RegExpExecArray): string | undefined {
  if (name !== undefined) return entities.get(name) ?? entities.get(name.toLowerCase());
  const point = decimal === undefined ? Number.parseInt(hexadecimal!, 16) : Number(decimal);
  if (point === 60 || point === 62) return ' ';
  const isCharacter = point > 0 && point <= 0x10_ffff && (point < 0xd800 || point > 0xdfff);
  return isCharacter ? String.fromCodePoint(point) : undefined;
}

/** Where the tag that begins there ends; −1 if none does. Attributes in quotes may have `>`; a tag has no `<`. */
function endOfTag(text: string, at: number): number {
  const second = text.charCodeAt(at + 1);
  const isDeclaration = second === 33 || second === 63;
  if (!isDeclaration) {
    tagName.lastIndex = at;
    const name = tagName.exec(text)?.[1]?.toLowerCase();
    if (name === undefined || !(elements.has(name) || /[:-]/.test(name) || second === 47)) return -1;
  }
  let first = -1;
  let quote = 0;
  let afterEquals = false;
  for (let end = at + 1; end < text.length; end++) {
    const unit = text.charCodeAt(end);
    if (unit === 60) break;
    if (unit === 62) {
      if (quote === 0) return end + 1;
      if (first < 0) first = end + 1;
    } else if (quote !== 0) {
      if (unit === quote) quote = 0;
    } else if (afterEquals && (unit === 34 || unit === 39)) {
      quote = unit;
    }
    if (unit !== 32) afterEquals = unit === 61;
  }
  // The quotation mark was never closed: it was none.
  return first;
}
