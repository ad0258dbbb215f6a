/**
 * The texts of one field with their sets of items, in each way in which filters ask for them: by the text in its comparable form;
 * whatever the case; and, if it is an RFC 3339 time, in order.
 *
 * Most texts have no capitals, or are capitalised alike: those whose form without case is the text itself are not stored a second
 * time.
 */
import type { MetadataValue } from '../../../../shared/protocol/events.ts';
import { caseless, comparable, textsOf, timeOf } from '../../filter/filter.ts';
import { type MemberPool, type MemberSet, NO_MEMBERS } from './member-pool.ts';
import { NumberOrder, type NumberOrderImage } from './number-order.ts';
import { TextTable, type TextTableImage } from './text-table.ts';

const CAPITAL_A = 0x41;
const CAPITAL_Z = 0x5a;

/** The texts of a field as plain data; the sets are those of the pool that is transferred with it. */
export interface FieldTextsImage {
  readonly texts: TextTableImage;
  readonly caseless: TextTableImage;
  readonly times: NumberOrderImage;
  readonly everyone: MemberSet;
}

export class FieldTexts {
  /** Epoch ms. */
  readonly times: NumberOrder;
  /** The items with any text. */
  everyone = NO_MEMBERS;
  private readonly pool: Sets;
  private readonly texts: TextTable;
  /** By the form without case: texts that differ from it, other than times, which are equal as times. */
  private readonly caseless: TextTable;

  /** `indexed`: the value of the field that is indexed for the item; while it is changed, of which it is being indexed. */
  constructor(pool: Sets, indexed: (ordinal: number) => MetadataValue | undefined, image?: FieldTextsImage) {
    this.pool = pool;
    const has = (form: (text: string) => string) => (ordinal: number, text: string) =>
      textsOf(indexed(ordinal)).some((each) => each === text || form(each) === text);
    this.texts = new TextTable(pool, has(comparable), image?.texts);
    this.caseless = new TextTable(pool, has(caseless), image?.caseless);
    this.times = new NumberOrder(pool, image?.times);
    if (image !== undefined) this.everyone = image.everyone;
  }

  /** Replaces each set by `become` of it. */
  image(become: (set: MemberSet) => MemberSet): FieldTextsImage {
    return {
      texts: this.texts.image(become),
      caseless: this.caseless.image(become),
      times: this.times.image(become),
      everyone: become(this.everyone),
    };
  }

  /** Number of texts. */
  get size(): number {
    return this.texts.size;
  }

  entries(): ReturnType<TextTable['entries']> {
    return this.texts.entries();
  }

  get(text: string): MemberSet {
    return this.texts.get(comparable(text));
  }

  /** Whatever the case. */
  sameLetters(text: string): readonly MemberSet[] {
    const form = caseless(text);
    return [this.texts.get(form), this.caseless.get(form)];
  }

  /** `keep`: it is one of a long list. */
  add(text: string, ordinal: number, keep: boolean): void {
    const form = comparable(text);
    this.texts.add(form, ordinal, keep);
    this.addForms(form, ordinal, keep);
  }

  /** The same as {@link add} of `text.slice(start, end)`, which is ASCII and whose hash is known. */
  addPiece(text: string, start: number, end: number, hash: number, ordinal: number, keep: boolean): void {
    this.texts.addPiece(text, start, end, hash, ordinal, keep);
    if (hasCapital(text, start, end) || mayBeTime(text, start, end)) {
      this.addForms(text.slice(start, end), ordinal, keep);
    } else this.everyone = this.pool.with(this.everyone, ordinal);
  }

  remove(text: string, ordinal: number): void {
    const form = comparable(text);
    this.texts.remove(form, ordinal);
    this.everyone = this.pool.without(this.everyone, ordinal);
    const time = timeOf(form);
    if (time !== undefined) this.times.remove(time, ordinal);
    else if (caseless(form) !== form) this.caseless.remove(caseless(form), ordinal);
  }

  private addForms(form: string, ordinal: number, keep: boolean): void {
    this.everyone = this.pool.with(this.everyone, ordinal);
    const time = timeOf(form);
    if (time !== undefined) this.times.add(time, ordinal);
    else if (caseless(form) !== form) this.caseless.add(caseless(form), ordinal, keep);
  }
}

/** The pool of the sets; with a gathering texts are only added. */
type Sets = Pick<MemberPool, 'lowestOf' | 'sizeOf' | 'with' | 'without'>;

function hasCapital(text: string, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    const unit = text.charCodeAt(at);
    if (unit >= CAPITAL_A && unit <= CAPITAL_Z) return true;
  }
  return false;
}

function mayBeTime(text: string, start: number, end: number): boolean {
  return end - start >= 10 && text[start + 4] === '-' && text[start + 7] === '-';
}
