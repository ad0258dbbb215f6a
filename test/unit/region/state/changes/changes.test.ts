import assert from 'node:assert/strict';
import { Changes } from '../../../../../services/region/state/changes/changes.ts';

describe('changes', () => {
  it('a watch takes each entity that was written to since it began, or since it took last', () => {
    const changes = new Changes();
    changes.note(1);
    const watch = changes.watch();
    changes.note(2);
    changes.note(2);
    const later = changes.watch();
    changes.note(3);
    const taken = (of: typeof watch): number[] => {
      const into = new Set<number>();
      assert.equal(of.take(into), true);
      return [...into];
    };
    assert.deepEqual([taken(watch), taken(later), taken(watch)], [[2, 3], [3], []]);
    watch.end();
    changes.note(4);
    assert.deepEqual(taken(later), [4]);
    later.end();
  });

  it('a watch that keeps up misses nothing; one that is a million writes behind learns that it missed some', () => {
    const changes = new Changes();
    const fast = changes.watch();
    const count = (from: number, to: number): void => {
      for (let entity = from; entity < to; entity++) changes.note(entity);
    };
    let taken = 0;
    for (let from = 0; from < 2_000_000; from += 50_000) {
      count(from, from + 50_000);
      const into = new Set<number>();
      assert.equal(fast.take(into), true);
      taken += into.size;
    }
    assert.equal(taken, 2_000_000);
    count(0, 1_100_000);
    assert.equal(fast.take(new Set()), false);
    assert.equal(fast.take(new Set()), true);
  });
});
