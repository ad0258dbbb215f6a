/** The arena against a map: whatever is put, replaced and removed, every ordinal has its latest JSON, and waste stays bounded. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { encodeMetadata } from '../../services/region/state/catalog/catalog.ts';
import { MetadataArena } from '../../services/region/state/catalog/metadata-arena.ts';

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

  it('gives back what is replaced: many versions of the same items take twice the room of one and a page', () => {
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
});
