import assert from 'node:assert/strict';
import { Entities } from '../../../../services/region/state/entities/entities.ts';

/** Small and large, none twice. */
function entityOf(index: number): number {
  return index % 2 === 0 ? index : Number.MAX_SAFE_INTEGER - index * 4_294_967_296;
}

describe('entities', () => {
  for (const reserveAt of [[], [0, 800, 1_600, 1_601]]) {
    it(`keep their ordinals while the table grows, also when more are expected at ${reserveAt.join(', ') || 'no time'}`, () => {
      const entities = new Entities();
      for (let index = 0; index < 20_000; index++) {
        if (reserveAt.includes(index)) entities.reserve(index + 3_000);
        assert.equal(entities.find(entityOf(index)), -1);
        assert.equal(entities.ordinal(entityOf(index)), index);
        // Any earlier one, whether it moved to the grown table already or not.
        const earlier = (index * 7_919) % (index + 1);
        assert.equal(entities.find(entityOf(earlier)), earlier);
        assert.equal(entities.ordinal(entityOf(earlier)), earlier);
        assert.equal(entities.entity(earlier), entityOf(earlier));
      }
      assert.equal(entities.size, 20_000);
    });
  }
});
