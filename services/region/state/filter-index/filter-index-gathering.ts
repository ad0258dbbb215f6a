/**
 * Builds a filter index of very many items: it receives them in any order and sorts its sets once at the end, which takes a
 * fraction of the time. A {@link FilterIndex} adopts the result.
 */
import type { Metadata } from '../../../../shared/protocol/events.ts';
import type { MetadataScan } from '../../metadata/metadata.ts';
import { Bitmap } from './bitmap.ts';
import type { Field } from './combining.ts';
import { FieldTexts } from './field-texts.ts';
import type { FilterIndexImage } from './filter-index.ts';
import { MemberGathering } from './member-gathering.ts';
import { MemberPool } from './member-pool.ts';
import { NumberOrder } from './number-order.ts';
import { LONG_LIST } from './text-table.ts';

export class FilterIndexGathering {
  private readonly fields = new Map<string, Field>();
  private readonly gathering: MemberGathering;
  private readonly metadataOf: (number: number) => Metadata;
  private readonly items: number[] = [];
  private readonly byNameId: (Field | undefined)[] = [];

  /** `metadataOf` an item by the number it was gathered under; `room`: initial capacity, in members of sets. */
  constructor({
    metadataOf,
    capacity: room,
  }: { metadataOf: (number: number) => Metadata; capacity?: number | undefined }) {
    this.metadataOf = metadataOf;
    this.gathering = new MemberGathering({ room });
  }

  gather(number: number, scan: MetadataScan): void {
    const { text, isAscii, count, names, nameIds, starts, ends, hashes, numbers } = scan;
    this.items.push(number);
    let listEnd = 0;
    let long = false;
    for (let value = 0; value < count; value++) {
      if (value === listEnd) {
        while (listEnd < count && nameIds[listEnd] === nameIds[value]) listEnd++;
        long = listEnd - value > LONG_LIST;
      }
      const field = this.byNameId[nameIds[value]!] ?? this.field(nameIds[value]!, names[value]!);
      const found = numbers[value]!;
      const [start, end] = [starts[value]!, ends[value]!];
      if (!Number.isNaN(found)) field.numbers.add(found, number);
      else if (isAscii) field.texts.addPiece(text, start, end, hashes[value]!, number, long);
      else field.texts.add(text.slice(start, end), number, long);
    }
  }

  /** The index of the gathered items, each under its ordinal, which `ordinals` has at its number. */
  image(ordinals: Int32Array): FilterIndexImage {
    const pool = new MemberPool();
    const become = this.gathering.finish(pool, ordinals);
    const live = new Bitmap(0);
    for (const number of this.items) live.add(ordinals[number]!);
    const fields = [...this.fields].map(([name, { texts, numbers }]) => ({
      name,
      texts: texts.image(become),
      numbers: numbers.image(become),
    }));
    return { pool: pool.image(), live: live.image(), fields };
  }

  private field(nameId: number, name: string): Field {
    let field = this.fields.get(name);
    if (field === undefined) {
      const { gathering } = this;
      const texts = new FieldTexts(gathering, (number) => this.metadataOf(number)[name]);
      field = { texts, numbers: new NumberOrder(gathering) };
      this.fields.set(name, field);
    }
    this.byNameId[nameId] = field;
    return field;
  }
}
