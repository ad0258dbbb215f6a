/**
 * What a group of a text is read as: words, each as it was written, and what a query that has the group asks for.
 *
 * | written | words of a document | a query asks for |
 * |---|---|---|
 * | `Schindler's`, `O’Brien` | the word without the sign; of `L'Amour` `amour` too | the same |
 * | `spider-man`, `AC/DC`, `node.js` | the parts, and all of it without the signs | each part, or all of it |
 * | `U.S.A.`, `R&B` | all of it | the same |
 * | `1,299.00` | `1299` and `1299.00` | each, or all of it |
 * | a word of Korean; one of three Chinese characters or more | it, and each two neighbouring characters | each two, or it |
 */
import {
  AMPERSAND,
  APOSTROPHE,
  BREAK,
  COLON,
  COMMA,
  classOf,
  DENSE,
  DOT,
  FILL,
  FILLER,
  HANGUL,
  HARD_SPACE,
  HYPHEN,
  LETTER,
  SLASH,
  SOFT,
  UNDERSCORE,
} from './characters.ts';
import { fold } from './fold.ts';
import { type Groups, isSkinTone } from './groups.ts';

/** The first characters of a word count. Bounds the vocabulary's entries. */
export const TERM_LIMIT_CHARACTERS = 128;
/** A longer compound has its parts only. */
const COMPOUND_LIMIT_CHARACTERS = 64;
/** Two words with a slash between them are also one when they are short, as in `AC/DC`. */
const SLASHED_LIMIT_CHARACTERS = 12;
/** Begins a word that is only found and never shown: two neighbouring characters of a longer one. */
const HIDDEN = '\u0001';

export interface Word {
  /** As it was written, in lower case. {@link keyOf} is what it is compared by. */
  readonly text: string;
  /** Within the group, in UTF-16 units. */
  readonly start: number;
  readonly end: number;
  /** Whether the length of a text counts it: parts do, what they are together does not. */
  readonly counts: boolean;
}

export interface Reading {
  readonly words: readonly Word[];
  /** What a query asks for: of each list one of the words, by its index; the first one is the best. */
  readonly asks: readonly (readonly number[])[];
}

const ascii = /^[\0-\x7f]*$/;
const simple = /^[a-z0-9+#]*$/;
const signsOf: Readonly<Record<number, string>> = {
  [HYPHEN]: '-',
  [SLASH]: '/',
  [DOT]: '.',
  [UNDERSCORE]: '_',
  [APOSTROPHE]: "'",
  [AMPERSAND]: '&',
  [COLON]: ':',
  [COMMA]: ',',
  [HARD_SPACE]: '\u00a0',
};
/** Signs that count between digits. */
const numeric = new Set([HYPHEN, SLASH, DOT, COLON, COMMA]);

const commasOfThousands = /^[0-9]{1,3}(?:,[0-9]{2,3})*,[0-9]{3}(?:\.[0-9]+)?$/;
const dotsOfThousands = /^[0-9]{1,3}(?:\.[0-9]{3})+,[0-9]+$/;
/** What is left of an article or a pronoun before a vowel, of French and Italian. */
const elided = /^(?:[cdjlmnst]|qu|jusqu|lorsqu|puisqu|quoiqu|all|dall|dell|nell|sull|un)$/i;

/** What is hidden is only found; what is not can be completed. */
export function isHidden(text: string): boolean {
  return text.startsWith(HIDDEN);
}

/** What a word is compared by. Empty if nothing of it is left. */
export function keyOf(text: string): string {
  if (simple.test(text)) return text;
  const shown = isHidden(text) ? text.slice(1) : text;
  const own = shown.endsWith("'s") ? shown.slice(0, -2) : shown;
  if (commasOfThousands.test(own)) return own.replaceAll(',', '');
  if (dotsOfThousands.test(own)) return own.replaceAll('.', '').replace(',', '.');
  if (/^[0-9]+,[0-9]+$/.test(own)) return own.replace(',', '.');
  return whole(withoutSigns(fold(own)).slice(0, TERM_LIMIT_CHARACTERS));
}

function withoutSigns(folded: string): string {
  let kept = '';
  let last = '';
  const characters = [...folded];
  for (const [index, character] of characters.entries()) {
    const found = classOf(character.codePointAt(0)!);
    if (found === BREAK || found === FILLER || (found >= HYPHEN && found <= HARD_SPACE)) {
      const isNumeric = numeric.has(found) && isDigit(last) && isDigit(characters[index + 1] ?? '');
      if (isNumeric) kept += signsOf[found];
      last = '';
    } else {
      kept += character;
      last = character;
    }
  }
  return kept;
}

function isDigit(character: string): boolean {
  return character >= '0' && character <= '9' && character.length === 1;
}

/** Not ended by half a character. */
function whole(text: string): string {
  const last = text.charCodeAt(text.length - 1);
  return last >= 0xd800 && last <= 0xdbff ? text.slice(0, -1) : text;
}

/** A part of a text as it was written: in lower case, each sign in one form, without what is invisible. */
function spell(written: string): string {
  const text = whole(written.slice(0, TERM_LIMIT_CHARACTERS));
  if (ascii.test(text)) return text.toLowerCase();
  let spelled = '';
  for (const character of text.normalize('NFC').toLowerCase()) {
    const found = classOf(character.codePointAt(0)!);
    if (found !== FILLER && found !== SOFT) spelled += signsOf[found] ?? character;
  }
  return whole(spelled.slice(0, TERM_LIMIT_CHARACTERS));
}

/** Reads the group that `groups` has found in `text`. */
export function readingOf(groups: Groups, text: string): Reading {
  const written = text.slice(groups.start, groups.end);
  switch (groups.kind) {
    case LETTER:
      return new LetterReading(groups, written).reading();
    case DENSE:
      return readingOfDense(written);
    case HANGUL:
      return readingOfHangul(written);
    default: {
      const words = [{ text: symbol(written), start: 0, end: written.length, counts: true }];
      return { words, asks: [[0]] };
    }
  }
}

/** An emoji whatever its colour and sex. */
function symbol(written: string): string {
  const points = [...written.replace(/\u200d[\u2640\u2642]/g, '')];
  const plain = points.filter(
    (point) => !isSkinTone(point.codePointAt(0)!) && classOf(point.codePointAt(0)!) !== FILLER,
  );
  return plain.length === 0 ? written : plain.join('').slice(0, TERM_LIMIT_CHARACTERS);
}

/** One part, or several with apostrophes or separators of thousands between them. */
interface Atom {
  readonly first: number;
  readonly last: number;
}

class LetterReading {
  private readonly groups: Groups;
  private readonly written: string;
  private readonly words: Word[] = [];
  private readonly asks: number[][] = [];

  constructor(groups: Groups, written: string) {
    this.groups = groups;
    this.written = written;
  }

  reading(): Reading {
    const pieces: Atom[][] = [[]];
    for (const atom of this.atoms()) {
      if (pieces[0]!.length > 0 && this.groups.links[atom.first] === SLASH) pieces.push([]);
      pieces.at(-1)!.push(atom);
    }
    const slashed = pieces.length === 2 && pieces.every((atoms) => atoms.length === 1) ? pieces.flat() : [];
    const isShort = this.written.length <= SLASHED_LIMIT_CHARACTERS;
    if (slashed.length > 0 && isShort) this.compound(slashed);
    else for (const atoms of pieces) this.compound(atoms);
    return { words: this.words, asks: this.asks };
  }

  private from(part: number): number {
    return this.groups.starts[part]! - this.groups.start;
  }

  private to(part: number): number {
    return this.groups.ends[part]! - this.groups.start;
  }

  private slice(first: number, last: number): string {
    return this.written.slice(this.from(first), this.to(last));
  }

  private add(first: number, last: number, counts: boolean): number {
    const [start, end] = [this.from(first), this.to(last)];
    return this.words.push({ text: spell(this.written.slice(start, end)), start, end, counts }) - 1;
  }

  /** A number whose thousands have dots between them reads like a fraction without the rest of it. */
  private addAtom({ first, last }: Atom): number {
    const index = this.add(first, last, true);
    if (first === last || this.groups.links[last] !== DOT) return index;
    const { text, ...word } = this.words[index]!;
    this.words[index] = { ...word, text: text.replaceAll('.', '') };
    return index;
  }

  private atoms(): Atom[] {
    const { count } = this.groups;
    const atoms: Atom[] = [];
    for (let first = 0, part = 1; first < count; part++) {
      if (part < count && this.isTight(part)) continue;
      atoms.push({ first, last: part - 1 });
      first = part;
    }
    return atoms;
  }

  /** Whether the part belongs to the same word as the one before it. */
  private isTight(part: number): boolean {
    const { links } = this.groups;
    const link = links[part]!;
    if (link === APOSTROPHE || link === HARD_SPACE) return true;
    if (link !== COMMA && link !== DOT) return false;
    const number = this.numberAround(part);
    if (link === COMMA) return commasOfThousands.test(number);
    return dotsOfThousands.test(number);
  }

  private numberAround(part: number): string {
    const { count, links } = this.groups;
    const isJoined = (at: number): boolean => links[at] === COMMA || links[at] === DOT;
    let first = part;
    while (first > 0 && isJoined(first)) first--;
    let last = part;
    while (last + 1 < count && isJoined(last + 1)) last++;
    return this.slice(first, last);
  }

  private compound(atoms: readonly Atom[]): void {
    const [{ first }, { last }] = [atoms[0]!, atoms.at(-1)!];
    if (atoms.length === 1) {
      this.single(atoms[0]!);
      return;
    }
    if (this.isAcronym(atoms)) {
      this.asks.push([this.add(first, last, true)]);
      return;
    }
    const from = this.asks.length;
    for (const atom of atoms) this.single(atom);
    if (this.to(last) - this.from(first) > COMPOUND_LIMIT_CHARACTERS) return;
    const together = this.add(first, last, false);
    for (const ask of this.asks.slice(from)) ask.push(together);
  }

  private single(atom: Atom): void {
    const { first, last } = atom;
    const ask = [this.addAtom(atom)];
    this.asks.push(ask);
    const text = this.slice(first, last);
    if (first === last) {
      const base = text.replace(/[^\p{L}\p{M}\p{N}]+$/u, '');
      if (base.length > 2 && base.length < text.length && base.length < TERM_LIMIT_CHARACTERS && !text.includes(FILL)) {
        const start = this.from(first);
        this.words.push({ text: spell(base), start, end: start + base.length, counts: false });
      }
      return;
    }
    if (this.groups.links[last] !== APOSTROPHE) return;
    // Contractions, as in `don't` and `we'll`, end with one or two letters.
    const lengthOf = (part: number): number => this.to(part) - this.from(part);
    if (lengthOf(last) < 3) return;
    for (let part = first; part <= last; part++) {
      if (lengthOf(part) < 3) continue;
      const index = this.add(part, part, false);
      if (part === last && last === first + 1 && elided.test(this.slice(first, first))) ask.push(index);
    }
  }

  /** Single letters with dots or ampersands, or a slash, between them. */
  private isAcronym(atoms: readonly Atom[]): boolean {
    const { links } = this.groups;
    return atoms.every(({ first, last }, index) => {
      if (first !== last || !/^\p{L}\p{M}*\ufdd0*$/u.test(this.slice(first, last))) return false;
      return index === 0 || [DOT, AMPERSAND, SLASH].includes(links[first]!);
    });
  }
}

/** Of a run of characters without spaces: its text in the usual forms, and where each unit of it was. */
function composed(written: string, form: (cluster: string) => string): { text: string; offsets: number[] } {
  let text = '';
  const offsets: number[] = [];
  for (const { 0: cluster, index } of written.matchAll(/.[\p{M}\uff9e\uff9f\ufdd0]*/gsu)) {
    const own = form(cluster.replaceAll(FILL, ''));
    for (let unit = 0; unit < own.length; unit++) offsets.push(index);
    text += own;
  }
  offsets.push(written.length);
  return { text, offsets };
}

const segmenter = new Intl.Segmenter('en', { granularity: 'word' });
const han = /\p{Script=Han}/u;
const katakana = /\p{Script=Katakana}/u;
const byScript = /[\p{Script=Katakana}\u30fc]+|[^\p{Script=Katakana}\u30fc]+/gu;

function readingOfDense(written: string): Reading {
  const words: Word[] = [];
  const asks: number[][] = [];
  // Half-width katakana have the usual width; the vowel signs of Thai would be taken apart by the same form.
  const { text, offsets } = composed(written, (cluster) =>
    cluster.normalize(/[\uff66-\uff9f]/.test(cluster) ? 'NFKC' : 'NFC'),
  );
  for (const { segment, index } of segmenter.segment(text)) {
    let at = index;
    const mixed = han.test(segment) && katakana.test(segment);
    for (const own of mixed ? segment.match(byScript)! : [segment]) {
      const start = offsets[at]!;
      at += own.length;
      const word = words.push({ text: own.toLowerCase(), start, end: offsets[at]!, counts: true }) - 1;
      const characters = [...own];
      if (characters.length > 2 && han.test(own)) asks.push(...pairs(words, characters, word));
      else asks.push([word]);
    }
  }
  return { words, asks };
}

/** Adds the pairs of neighbours of a word, which has three characters or more; what a query asks for. */
function pairs(words: Word[], characters: readonly string[], word: number): number[][] {
  const { start, end } = words[word]!;
  return characters.slice(1).map((character, index) => {
    const text = `${HIDDEN}${characters[index]}${character}`;
    return [words.push({ text, start, end, counts: false }) - 1, word];
  });
}

/** Particles that a noun is written together with, and the fewest syllables that are left of the noun in a query. */
const particles: readonly (readonly [particle: string, left: number])[] = [
  ...[
    '에서는',
    '에게서',
    '으로는',
    '이라는',
    '에서',
    '으로',
    '까지',
    '부터',
    '에게',
    '한테',
    '처럼',
    '보다',
    '께서',
    '에는',
    '에도',
    '이나',
    '라는',
    '들은',
    '들이',
    '들을',
    '들의',
  ].map((particle) => [particle, 2] as const),
  ...['은', '는', '을', '를'].map((particle) => [particle, 2] as const),
  ...['이', '가', '도', '의', '에', '와', '과', '로', '만'].map((particle) => [particle, 3] as const),
];

function readingOfHangul(written: string): Reading {
  const { text } = composed(written, (cluster) => cluster.normalize('NFC'));
  const all = text.normalize('NFC');
  const words: Word[] = [{ text: all, start: 0, end: written.length, counts: true }];
  const syllables = [...all];
  const ending = particles.find(([particle]) => all.length > particle.length && all.endsWith(particle));
  const stem = ending === undefined ? all : all.slice(0, -ending[0].length);
  // A noun of one syllable has no pair of its own.
  if (stem.length === 1 && ending !== undefined) {
    words.push({ text: `${HIDDEN}${stem}`, start: 0, end: written.length, counts: false });
  }
  if (syllables.length <= 2) return { words, asks: [[0]] };
  const asks = pairs(words, syllables, 0);
  const isNoun = ending !== undefined && stem.length >= ending[1];
  return { words, asks: isNoun ? asks.slice(0, stem.length - 1) : asks };
}
