/** The arena against a map: whatever is put, replaced and removed, every ordinal has its latest JSON, and waste stays bounded. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  encodeMetadata,
  forEachMetadata,
  type MetadataPage,
} from '../../../../../services/region/state/catalog/catalog.ts';
import { MetadataArena } from '../../../../../services/region/state/catalog/metadata-arena.ts';

const MEBIBYTE = 1024 * 1024;
const text = (ordinal: number, length: number): Uint8Array => encodeMetadata({ t: 'x'.repeat(length), o: ordinal });

describe('metadata arena', function () {
  this.timeout(60_000);

  it('equals a map under puts of all sizes, replacements and removals', () => {
    // Up to a quarter of a page, so that pages turn and are emptied within a case.
    const change = fc.tuple(
      fc.integer({ min: 0, max: 40 }),
      fc.oneof(fc.constant(undefined), fc.integer({ min: 0, max: 64 }), fc.integer({ min: 0, max: 262_000 })),
    );
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 120 }), (changes) => {
        const arena = new MetadataArena();
        const reference = new Map<number, string>();
        for (const [ordinal, length] of changes) {
          if (length === undefined) {
            arena.remove(ordinal);
            reference.delete(ordinal);
          } else {
            arena.put(ordinal, text(ordinal, length));
            reference.set(ordinal, Buffer.from(text(ordinal, length)).toString());
          }
          assert.equal(JSON.stringify(arena.get(ordinal)), reference.get(ordinal));
        }
        for (let ordinal = 0; ordinal <= 41; ordinal++) {
          const json = arena.json(ordinal);
          assert.equal(json && Buffer.from(json).toString(), reference.get(ordinal));
          assert.equal(JSON.stringify(arena.get(ordinal)), reference.get(ordinal));
          assert.deepEqual(arena.decode(ordinal), arena.get(ordinal));
          assert.equal(arena.has(ordinal), reference.has(ordinal));
        }
      }),
      { numRuns: 60 },
    );
  });

  it('frees what is replaced: many versions of the same items take twice the space of one and a page', () => {
    const arena = new MetadataArena();
    const items = 4_000;
    for (let version = 0; version < 20; version++) {
      for (let ordinal = 0; ordinal < items; ordinal++) arena.put(ordinal, text(ordinal, 1_000 + version));
    }
    const oneVersion = items * text(items, 1_020).length;
    assert.ok(arena.bytes <= 2 * oneVersion + 2 * MEBIBYTE, `${arena.bytes} for ${oneVersion}`);
    for (let ordinal = 0; ordinal < items; ordinal++) arena.remove(ordinal);
    const before = arena.bytes;
    for (let ordinal = 0; ordinal < items; ordinal++) arena.put(ordinal, text(ordinal, 1_000));
    assert.ok(arena.bytes <= before, 'pages that are all waste are used again');
  });

  it('writes to nothing that was lent before it is taken back, and gives back its waste afterwards', () => {
    const arena = new MetadataArena();
    const items = 3_000;
    const pages: { readonly words: Uint32Array; readonly before: Uint32Array }[] = [];
    const lend = (page: MetadataPage): void => void pages.push({ words: page.words, before: page.words.slice() });
    for (let ordinal = 0; ordinal < items; ordinal++) {
      arena.put(ordinal, text(ordinal, 1_000));
      arena.lend(lend, false);
    }
    const full = pages.length;
    arena.lend(lend, true);
    assert.equal(pages.length, full + 1);
    const lent: string[] = [];
    for (const page of pages) {
      const bytes = Buffer.from(page.words.buffer, page.words.byteOffset, page.words.byteLength);
      forEachMetadata(page, (start, end) => void lent.push(bytes.toString('utf8', start, end)));
    }
    assert.deepEqual(
      lent,
      Array.from({ length: items }, (_, ordinal) => Buffer.from(text(ordinal, 1_000)).toString()),
    );
    for (let version = 1; version < 4; version++) {
      for (let ordinal = 0; ordinal < items; ordinal++) arena.put(ordinal, text(ordinal, 1_000 + version));
    }
    for (const { words, before } of pages) assert.deepEqual(words, before);
    arena.takeBack();
    const most = arena.bytes;
    for (let version = 4; version < 20; version++) {
      for (let ordinal = 0; ordinal < items; ordinal++) arena.put(ordinal, text(ordinal, 1_000 + version));
    }
    assert.ok(arena.bytes <= most, `${arena.bytes} after ${most}`);
    for (let ordinal = 0; ordinal < items; ordinal++) {
      assert.equal(JSON.stringify(arena.decode(ordinal)), Buffer.from(text(ordinal, 1_019)).toString());
    }
  });
});
