/** Epochs: which are believed, and that none is given to two regions while a disk remembers it. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  credibleInLog,
  EPOCH_LIMIT,
  EPOCH_STEP_LIMIT,
  epochRefusal,
  highestCredible,
  nextEpoch,
} from '../../shared/leadership/epochs.ts';

const regions = ['us-east', 'eu-west', 'ap-south'] as const;

interface Known {
  readonly leader: string;
  readonly epoch: number;
}

type Step =
  | { readonly kind: 'promote'; readonly to: number; readonly answering: readonly boolean[] }
  | { readonly kind: 'copy' }
  | { readonly kind: 'restore' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('promote' as const),
      to: fc.nat({ max: 2 }),
      answering: fc.tuple(fc.boolean(), fc.boolean(), fc.boolean()),
    }),
  },
  fc.record({ kind: fc.constant('copy' as const) }),
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('restore' as const) }) },
);

describe('epochs', () => {
  it('none is given to two regions while a disk remembers it, whichever is unresponsive and whatever copy of the key is restored', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 3, maxLength: 40, size: 'max' }), (steps) => {
        let key: Known = { leader: 'us-east', epoch: 1 };
        let copy = key;
        const disks = new Map<string, Known>(regions.map((region) => [region, key]));
        const accepted = new Map<number, string>([[1, 'us-east']]);
        for (const each of steps) {
          if (each.kind === 'copy') copy = key;
          if (each.kind === 'restore') key = copy;
          if (each.kind !== 'promote') continue;
          const answering = regions.filter((_, index) => each.answering[index]);
          // What the routers do first: a key behind what is known is put right.
          const known = answering.map((region) => disks.get(region)!).sort((a, b) => b.epoch - a.epoch);
          if ((known[0]?.epoch ?? 0) > key.epoch) {
            const { leader, epoch } = known[0]!;
            const unresponsive = answering.length < regions.length;
            key = { leader, epoch: nextEpoch({ highest: epoch, unresponsive, leader, regions }) };
          }
          const leader = regions[each.to]!;
          if (leader !== key.leader) {
            const unresponsive = regions.some((region) => region !== key.leader && !answering.includes(region));
            key = { leader, epoch: nextEpoch({ highest: key.epoch, unresponsive, leader, regions }) };
          }
          // Regions that answer learn the record, and the leader accepts.
          for (const region of answering) if (key.epoch >= disks.get(region)!.epoch) disks.set(region, key);
          if (!answering.includes(key.leader as (typeof regions)[number])) continue;
          const before = accepted.get(key.epoch) ?? key.leader;
          assert.equal(before, key.leader, `epoch ${key.epoch} of ${before} is given to ${key.leader}`);
          accepted.set(key.epoch, key.leader);
        }
      }),
      { numRuns: 3_000 },
    );
  });

  it('two regions are down, one is forced, accepts and dies, an older copy of the key is restored, another one is forced', () => {
    const forced = (leader: string): number => nextEpoch({ highest: 1, unresponsive: true, leader, regions });
    assert.deepEqual(regions.map(forced), [1_000, 1_050, 1_100]);
  });

  it('while all regions answer the next one is one more, or, if that is reserved, one of its own region', () => {
    let epoch = 1;
    const given: number[] = [];
    for (let count = 0; count < 1_100; count++) {
      epoch = nextEpoch({ highest: epoch, unresponsive: false, leader: 'eu-west', regions });
      given.push(epoch);
    }
    assert.deepEqual(given.slice(0, 3), [2, 3, 4]);
    assert.deepEqual(given.slice(996, 1_001), [998, 999, 1_050, 1_051, 1_052]);
    assert.deepEqual(given.slice(1_046, 1_049), [1_098, 1_099, 2_050]);
  });

  it('a reserved one is above what is known and names its region, at every height', () => {
    fc.assert(
      fc.property(fc.nat({ max: 3_000_000 }), fc.nat({ max: 15 }), (highest, place) => {
        const names = Array.from({ length: 16 }, (_, index) => `region-${index}`);
        const epoch = nextEpoch({ highest, unresponsive: true, leader: `region-${place}`, regions: names });
        assert.ok(epoch > highest && epoch <= highest + 2_000, `${epoch} after ${highest}`);
        assert.equal(epoch % 1_000, 50 * place);
      }),
    );
  });

  it('a step beyond the bound is refused, and above every accepted epoch there is a number for another one', () => {
    for (const known of [0, 1, 7_000_000]) {
      assert.equal(epochRefusal(known + EPOCH_STEP_LIMIT, known), undefined);
      assert.match(epochRefusal(known + EPOCH_STEP_LIMIT + 1, known) ?? '', /beyond/);
    }
    assert.match(epochRefusal(EPOCH_LIMIT + 1, EPOCH_LIMIT) ?? '', /beyond/);
    assert.ok(
      Number.isSafeInteger(nextEpoch({ highest: EPOCH_LIMIT - 5_000, unresponsive: true, leader: 'us-east', regions })),
    );
    assert.throws(
      () => nextEpoch({ highest: EPOCH_LIMIT, unresponsive: false, leader: 'us-east', regions }),
      /can be read/,
    );
    assert.throws(
      () => nextEpoch({ highest: 1, unresponsive: false, leader: 'nobody', regions }),
      /region of the topology/,
    );
  });

  it('a log is believed step by step: one forged origin changes nothing, many leaderships do', () => {
    assert.equal(credibleInLog([]), 0);
    assert.equal(credibleInLog([3, 1, Number.MAX_SAFE_INTEGER, 2]), 3);
    assert.equal(credibleInLog([Number.MAX_SAFE_INTEGER]), 0);
    assert.equal(credibleInLog([1, 900_000, 1_800_000]), 1_800_000);
    assert.equal(highestCredible(5, [4, 2_000_000, 6]), 6);
  });
});
