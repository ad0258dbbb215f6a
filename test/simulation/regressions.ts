/**
 * Runs that once found something, kept with the faults it took. A change of what the simulation draws makes another run of
 * a seed: the tests of the parts hold what was found for good, these show that the simulation still gets there.
 */
import type { FaultEvent } from './faults.ts';

export interface Regression {
  readonly seed: string;
  readonly found: string;
  /** Absent: the seed's own. */
  readonly faults?: readonly FaultEvent[];
}

export const regressions: readonly Regression[] = [
  {
    seed: '40',
    found: 'a drill asked for on a full disk was answered 500 (cut-switch)',
    faults: [
      { atMs: 2_000, kind: 'disk full', who: 'us-east', forMs: 3_000 },
      { atMs: 3_000, kind: 'partition', who: 'us-east', by: 'router-1', healAfter: undefined },
    ],
  },
  {
    seed: '2370',
    found: 'a region that started empty waited for ever for what its peers had lost with their disks (readiness)',
    faults: [
      { atMs: 1_836, kind: 'disk lost', who: 'ap-south', backMs: 887 },
      { atMs: 2_888, kind: 'broker wiped', downMs: 753 },
      { atMs: 3_198, kind: 'disk restored', who: 'us-east', ageMs: 969, backMs: 9_720 },
      { atMs: 3_209, kind: 'disk restored', who: 'eu-west', ageMs: 73, backMs: 38 },
    ],
  },
];
