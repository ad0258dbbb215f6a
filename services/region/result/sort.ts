/**
 * Sorting by fields: `year:desc,score`.
 *
 * The values by which an item is sorted become one text, its *order*, such that items are in the order of their texts, unit by
 * unit: whatever is sorted by is compared, and continued after, in the same way.
 *
 * Among the values of one field numbers come first, then times (texts that are RFC 3339 times or dates, by the instant they name), then
 * other texts, by their first 48 characters whatever the case; descending the other way round. Of a list, the first value in the
 * direction counts. An item without the field is last, in both directions.
 */
import type { Metadata, MetadataValue } from '../../../shared/protocol/events.ts';
import { caseless, textsOf, timeOf } from '../filter/filter.ts';
import { readNames } from './names.ts';

export const SORT_LIMIT_KEYS = 4;
const builtIn = ['score', 'created_at', 'updated_at', 'entity_id'] as const;

export interface SortKey {
  /** `field`: the metadata field {@link SortKey.field}. */
  readonly by: (typeof builtIn)[number] | 'field';
  readonly field: string;
  readonly isDescending: boolean;
}

/** Newest first: what a result without a score is sorted by. */
export const NEWEST_FIRST: readonly SortKey[] = [{ by: 'created_at', field: '', isDescending: true }];

/** Highest first. */
export const BY_SCORE: readonly SortKey[] = [{ by: 'score', field: '', isDescending: true }];

/** What an item is sorted by. */
export interface Sortable {
  readonly entity: number;
  readonly score: number;
  /** Epoch ms. */
  readonly createdMs: number;
  updatedMs(): number;
  metadata(): Metadata;
  /** The number it has in the field, NaN: no value; undefined: not known without its metadata. */
  number?(field: string): number | undefined;
}

export const SORT_SYNTAX = `sort=year:desc,score takes 1 to ${SORT_LIMIT_KEYS} of ${builtIn.join(', ')} and fields of the metadata, each with :asc or :desc; "score" in double quotes is a field`;

/** A text that is returned says what is wrong. */
export function readSort(text: string): readonly SortKey[] | string {
  const names = readNames(text, SORT_LIMIT_KEYS);
  if (typeof names === 'string') return names;
  const keys: SortKey[] = [];
  for (const { name, isQuoted, suffix } of names) {
    const by = isQuoted ? undefined : builtIn.find((each) => each === name);
    if (suffix !== '' && suffix !== ':asc' && suffix !== ':desc') {
      return `has ${JSON.stringify(suffix.slice(0, 32))} after ${name.slice(0, 64)}: the directions are :asc and :desc`;
    }
    const isDescending = suffix === '' ? by === 'score' : suffix === ':desc';
    keys.push({ by: by ?? 'field', field: by === undefined ? name : '', isDescending });
  }
  return keys;
}

/** Of an item without the field: above all others. */
const NOTHING = '\uffff';
const NUMBER = 1;
const TIME = 2;
const TEXT = 3;
const TEXT_UNITS = 48;
/** Longest part of an order, UTF-16 units. */
const PART_UNITS = 1 + TEXT_UNITS + 1;
const float = new DataView(new ArrayBuffer(8));

/** Bytes of the longest order, two for each unit. */
export function orderLimitBytes(keys: readonly SortKey[]): number {
  return keys.length * PART_UNITS * 2;
}

/** The item with the lower text is first. */
export function orderOf(keys: readonly SortKey[], item: Sortable): string {
  let order = '';
  for (const key of keys) order += partOf(key, item);
  return order;
}

/** The same, if it is not above the limit. */
export function orderWithin(keys: readonly SortKey[], item: Sortable, limit: string): string | undefined {
  let order = '';
  for (const key of keys) {
    order += partOf(key, item);
    if (order > limit.slice(0, order.length)) return undefined;
  }
  return order;
}

function partOf({ by, field, isDescending }: SortKey, item: Sortable): string {
  const flip = isDescending ? 0xffff : 0;
  if (by !== 'field') return numberOrder(NUMBER, builtInValue(by, item), flip);
  const number = item.number?.(field);
  if (number !== undefined) return Number.isNaN(number) ? NOTHING : numberOrder(NUMBER, number, flip);
  const metadata = item.metadata();
  return Object.hasOwn(metadata, field) ? fieldOrder(metadata[field]!, flip) : NOTHING;
}

function builtInValue(by: (typeof builtIn)[number], item: Sortable): number {
  if (by === 'score') return item.score;
  if (by === 'entity_id') return item.entity;
  return by === 'created_at' ? item.createdMs : item.updatedMs();
}

function fieldOrder(value: MetadataValue, flip: number): string {
  if (typeof value === 'number') return numberOrder(NUMBER, value, flip);
  let first = NOTHING;
  for (const text of textsOf(value)) {
    const order = textOrder(text, flip);
    if (order < first) first = order;
  }
  return first;
}

function textOrder(text: string, flip: number): string {
  const time = timeOf(text);
  if (time !== undefined) return numberOrder(TIME, time, flip);
  // More than one unit may become one without case.
  const form = caseless(text.slice(0, 4 * TEXT_UNITS));
  const units = [TEXT ^ flip];
  for (let at = 0; at < form.length && at < TEXT_UNITS; at++) units.push(Math.max(1, form.charCodeAt(at)) ^ flip);
  units.push(flip);
  return String.fromCharCode(...units);
}

/** Four units in the order of the numbers: of a negative one all bits are flipped, of another one the sign. */
function numberOrder(kind: number, value: number, flip: number): string {
  // −0 is 0.
  float.setFloat64(0, value + 0);
  const all = value < 0 ? 0xffff ^ flip : flip;
  const sign = value < 0 ? 0xffff ^ flip : 0x8000 ^ flip;
  return String.fromCharCode(
    kind ^ flip,
    float.getUint16(0) ^ sign,
    float.getUint16(2) ^ all,
    float.getUint16(4) ^ all,
    float.getUint16(6) ^ all,
  );
}
