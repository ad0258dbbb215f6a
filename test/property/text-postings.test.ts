/** What the text index keeps its numbers in, against plain maps and lists. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  BlockPool,
  CAPACITIES,
  LARGEST_BLOCK,
  PAGE_BITS,
  PAGE_MASK,
} from '../../services/region/state/text/block-pool.ts';
import { Frequencies, SEVERAL } from '../../services/region/state/text/frequencies.ts';
import { Postings } from '../../services/region/state/text/postings.ts';

/** The postings of a term as its blocks have them. */
function read(postings: Postings, term: number): [document: number, code: number][] {
  const found: [number, number][] = [];
  for (let block = 0; block < postings.blocks(term); block++) {
    const address = postings.blockAddress(term, block);
    const count = postings.blockCount(term, block);
    assert.ok(count > 0 && count <= LARGEST_BLOCK, `a block of ${count}`);
    const { values, codes } = postings.pageOf(address);
    const start = address & PAGE_MASK;
    for (let at = start; at < start + count; at++) found.push([values[at]!, codes[at]!]);
  }
  return found;
}

describe('postings', () => {
  /** Runs of documents put or taken out, upwards, downwards or with gaps: what fills, splits, joins and empties blocks. */
  const run = fc.record({
    add: fc.boolean(),
    term: fc.integer({ min: 0, max: 2 }),
    from: fc.integer({ min: 0, max: 3_000 }),
    count: fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 900 })),
    step: fc.constantFrom(1, -1, 3, -7),
    code: fc.constantFrom(0, 3, 255, 256, 70_000),
  });

  it('are the sorted map of what was added and not removed', () => {
    fc.assert(
      fc.property(fc.array(run, { maxLength: 25 }), (runs) => {
        const postings = new Postings();
        postings.reserve(3);
        const model = [new Map<number, number>(), new Map<number, number>(), new Map<number, number>()];
        for (const { add, term, from, count, step, code } of runs) {
          const documents = model[term]!;
          for (let i = 0; i < count; i++) {
            const document = from + i * step;
            if (document < 0) break;
            if (add && !documents.has(document)) {
              postings.add(term, document, code);
              documents.set(document, code);
            } else if (!add && documents.has(document)) {
              assert.equal(postings.remove(term, document), documents.get(document));
              documents.delete(document);
            }
          }
        }
        for (const [term, documents] of model.entries()) {
          assert.deepEqual(
            read(postings, term),
            [...documents].sort(([a], [b]) => a - b),
          );
          assert.equal(postings.documents(term), documents.size);
          for (let document = 0; document < 3_000; document += 17) {
            assert.equal(postings.find(term, document), documents.get(document) ?? -1);
          }
        }
        assert.equal(
          postings.size,
          model.reduce((sum, { size }) => sum + size, 0),
        );
      }),
      { numRuns: 150 },
    );
  });

  it('give back the memory of what is removed', () => {
    const postings = new Postings();
    postings.reserve(2_000);
    const fill = (): void => {
      for (let document = 0; document < 40_000; document++)
        postings.add(document % 7 === 0 ? 0 : document % 2_000, document, 1);
    };
    const empty = (): void => {
      for (let document = 0; document < 40_000; document++)
        postings.remove(document % 7 === 0 ? 0 : document % 2_000, document);
    };
    fill();
    const sizeBytes = postings.sizeBytes;
    for (let round = 0; round < 5; round++) {
      empty();
      fill();
    }
    assert.ok(postings.sizeBytes <= sizeBytes * 1.1, `${postings.sizeBytes} bytes, at first ${sizeBytes}`);
  });
});

describe('a pool of blocks', () => {
  it('never hands out a number twice, and takes emptied pages for other sizes', () => {
    const step = fc.record({
      sizeClass: fc.nat(CAPACITIES.length - 1),
      count: fc.integer({ min: 1, max: 400 }),
      keep: fc.nat(3),
    });
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 12 }), (steps) => {
        const pool = new BlockPool({ withCodes: false });
        let live: { address: number; sizeClass: number; mark: number }[] = [];
        let mark = 1;
        for (const { sizeClass, count, keep } of steps) {
          for (let i = 0; i < count; i++) {
            const address = pool.allocate(sizeClass);
            live.push({ address, sizeClass, mark });
            const start = address & PAGE_MASK;
            pool.pages[address >>> PAGE_BITS]!.values.fill(mark++, start, start + CAPACITIES[sizeClass]!);
          }
          for (const { address, sizeClass, mark } of live) {
            const start = address & PAGE_MASK;
            const values = pool.pages[address >>> PAGE_BITS]!.values.subarray(start, start + CAPACITIES[sizeClass]!);
            assert.ok(values.every((value) => value === mark));
          }
          for (const [i, { address, sizeClass }] of live.entries()) {
            if (i % 4 >= keep) pool.release(address, sizeClass);
          }
          live = live.filter((_, i) => i % 4 < keep);
        }
      }),
      { numRuns: 60 },
    );
  });
});

describe('codes of frequencies', () => {
  it('stand for their frequencies as long as they are in use', () => {
    const fieldCount = 3;
    const frequencies = fc
      .tuple(fc.nat(3), fc.constantFrom(0, 0, 1, 9, 300), fc.nat(1))
      .filter((of) => of.some((f) => f > 0));
    fc.assert(
      fc.property(fc.array(fc.tuple(frequencies, fc.nat()), { maxLength: 200 }), (steps) => {
        const codes = new Frequencies(fieldCount);
        const live: { code: number; of: readonly number[] }[] = [];
        for (const [of, draw] of steps) {
          if (draw % 3 === 0 && live.length > 0) codes.release(live.splice(draw % live.length, 1)[0]!.code);
          else live.push({ code: codes.take(Uint32Array.from([0, ...of]), 1), of });
        }
        for (const { code, of } of live) {
          assert.deepEqual(
            [0, 1, 2].map((field) => codes.frequency(code, field)),
            of,
          );
          const having = [0, 1, 2].filter((field) => of[field]! > 0);
          assert.equal(codes.fieldOf[code], having.length > 1 ? SEVERAL : having[0]);
        }
        const kinds = new Map(live.map(({ code, of }) => [code, of.join()]));
        assert.equal(new Set(kinds.values()).size, kinds.size, 'equal frequencies have one code');
        assert.ok(codes.limit <= steps.length);
      }),
    );
  });

  it('go beyond a byte', () => {
    const codes = new Frequencies(1);
    const taken = Array.from({ length: 70_000 }, (_, i) => codes.take(Uint32Array.of(i + 1), 0));
    assert.equal(new Set(taken).size, 70_000);
    for (const [i, code] of taken.entries()) assert.equal(codes.frequency(code, 0), i + 1);
  });
});
