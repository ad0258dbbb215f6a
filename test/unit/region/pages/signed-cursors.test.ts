import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import type { PagePosition } from '../../../../services/region/pages/pages.ts';
import { createCursors } from '../../../../services/region/pages/signed-cursors.ts';

const query = ['feed', 'top', 20];
const place: PagePosition = {
  shown: 40,
  rest: { score: 0.1 + 0.2, entity: 2 ** 53 - 1, tie: 2 ** 48 - 1 },
  kinds: new Map([
    ['0123456789ab', { score: -0, entity: 0 }],
    ['ffffffffffff', { score: Number.MIN_VALUE, entity: 7 }],
  ]),
};

describe('cursors', () => {
  const cursors = createCursors({ secrets: () => [''], schemaHash: 'a' });
  const cursor = cursors.write(query, 1_700_000_000_000, place);

  it('return as they were handed out, bit for bit, in any region and after a restart', () => {
    const read = createCursors({ secrets: () => [''], schemaHash: 'a' }).read(cursor, query);
    assert.deepEqual(read, { atMs: 1_700_000_000_000, place });
    assert.ok(typeof read === 'object' && Object.is(read.place.kinds.get('0123456789ab')?.score, -0));
    const latestMs = 8_640_000_000_000_000;
    const first: PagePosition = { shown: 0, rest: undefined, kinds: new Map() };
    assert.deepEqual(cursors.read(cursors.write(query, latestMs, first), query), { atMs: latestMs, place: first });
  });

  it('fit a request line with as many kinds as a place may name', () => {
    const kinds = new Map(
      Array.from({ length: 200 }, (_, n) => [n.toString(16).padStart(12, '0'), { score: n, entity: n, tie: 2 ** 47 }]),
    );
    assert.ok(cursors.write(query, 1, { ...place, kinds }).length <= 8_000);
  });

  it('are refused with any character changed, left out or added', () => {
    for (let at = 0; at < cursor.length; at++) {
      const other = cursor[at] === 'A' ? 'B' : 'A';
      for (const changed of [
        cursor.slice(0, at) + other + cursor.slice(at + 1),
        cursor.slice(0, at) + cursor.slice(at + 1),
        `${cursor.slice(0, at)}=${cursor.slice(at)}`,
        cursor.slice(0, at),
        cursor.slice(at + 1),
      ]) {
        assert.equal(cursors.read(changed, query), 'not_ours', changed);
      }
    }
    for (const other of [`${cursor}A`, `${cursor}=`, ` ${cursor}`, '', 'A', '\u{1f600}', cursor + cursor]) {
      assert.equal(cursors.read(other, query), 'not_ours', other);
    }
  });

  it('belong to their query, their schema and their secret', () => {
    assert.equal(cursors.read(cursor, ['feed', 'top', 21]), 'other_query');
    assert.equal(createCursors({ secrets: () => [''], schemaHash: 'b' }).read(cursor, query), 'not_ours');
    const own = createCursors({ secrets: () => ['of our own'], schemaHash: 'a' });
    assert.equal(own.read(cursor, query), 'not_ours');
    assert.equal(cursors.read(own.write(query, 1, place), query), 'not_ours');
    assert.deepEqual(own.read(own.write(query, 1, place), query), { atMs: 1, place });
  });

  it('that are signed with the public secret are still page starts, or refused', () => {
    const key = createHmac('sha256', '').update('tidal cursor 3 a').digest();
    const signed = (change: (bytes: Buffer) => Buffer): string => {
      const bytes = change(Buffer.from(cursor, 'base64url').subarray(0, -16));
      return Buffer.concat([bytes, createHmac('sha256', key).update(bytes).digest().subarray(0, 16)]).toString(
        'base64url',
      );
    };
    assert.deepEqual(
      cursors.read(
        signed((bytes) => bytes),
        query,
      ),
      { atMs: 1_700_000_000_000, place },
    );
    const set =
      (at: number, ...values: number[]) =>
      (bytes: Buffer): Buffer => {
        bytes.set(values, at);
        return bytes;
      };
    const notANumber = [0x7f, 0xf8, 0, 0, 0, 0, 0, 0];
    const changes: ((bytes: Buffer) => Buffer)[] = [
      set(0, 1), // version
      set(1, 0), // no rest, but its bytes
      set(2, ...notANumber), // read time
      set(2, 0xc0), // read time before 1970
      set(10, ...notANumber), // items shown
      set(18, ...notANumber), // score
      set(26, ...notANumber), // entity
      set(40, 0xff, 0xff), // number of kinds
      (bytes) => Buffer.concat([bytes.subarray(0, 20), bytes.subarray(-8)]),
    ];
    for (const [index, change] of changes.entries()) {
      assert.equal(cursors.read(signed(change), query), 'not_ours', `change ${index}`);
    }
  });
});
