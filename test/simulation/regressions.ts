/**
 * Runs that once found something, kept with the faults it took. A change of what the simulation draws makes another run of
 * a seed: the tests of the parts hold what was found for good, these show that the simulation still gets there.
 */
import type { FaultEvent } from './faults.ts';

export interface Regression {
  readonly seed: string;
  readonly found: string;
  /** Its faults are those of the seed with this theme. */
  readonly theme?: string;
  /** Absent: the seed's own, or its theme's. */
  readonly faults?: readonly FaultEvent[];
}

export const regressions: readonly Regression[] = [
  {
    seed: '40',
    found: 'a drill asked for on a full disk was answered 500 (partition-switch)',
    faults: [
      { atMs: 2_000, kind: 'disk full', who: 'us-east', forMs: 3_000 },
      { atMs: 3_000, kind: 'partition', who: 'us-east', by: 'router-1', healAfter: undefined },
    ],
  },
  {
    seed: '2370',
    found:
      'a region that started empty waited without end for events that its peers had lost with their disks (readiness)',
    faults: [
      { atMs: 1_836, kind: 'disk lost', who: 'ap-south', backMs: 887 },
      { atMs: 2_888, kind: 'broker wiped', downMs: 753 },
      { atMs: 3_198, kind: 'disk restored', who: 'us-east', ageMs: 969, backMs: 9_720 },
      { atMs: 3_209, kind: 'disk restored', who: 'eu-west', ageMs: 73, backMs: 38 },
    ],
  },
  {
    seed: '763',
    found: 'a keyed write was accepted again while a duplicate of it was being appended (group-commit)',
    faults: [
      { atMs: 1_547, kind: 'publish fault', who: 'us-east', what: 'late', landsMs: 164 },
      { atMs: 1_658, kind: 'kill', who: 'router-1', backMs: 68, effect: 3, after: true, unflushed: 'kept' },
      { atMs: 6_131, kind: 'freeze', who: 'router-2', forMs: 4_603 },
      { atMs: 7_437, kind: 'kill all', backMs: 381, unflushed: 'kept' },
      { atMs: 8_076, kind: 'freeze', who: 'router-2', forMs: 16_004 },
      { atMs: 8_094, kind: 'split', side: ['us-east', 'ap-south', 'router-1'], forMs: 2_226 },
      { atMs: 10_409, kind: 'disk slow', who: 'eu-west', flushMs: 446, forMs: 4_634 },
      { atMs: 10_591, kind: 'promote', who: 'eu-west', by: 'router-2', force: true },
    ],
  },
  {
    seed: '198',
    found:
      'an epoch was given to a second leader when only the events that its first had shipped were left of it (leadership)',
    faults: [
      { atMs: 1_153, kind: 'split', side: ['us-east', 'router-1'], forMs: 9_734 },
      { atMs: 1_286, kind: 'promote', who: 'eu-west', by: 'router-2', force: true },
      { atMs: 3_969, kind: 'disk restored', who: 'ap-south', ageMs: 1_078, backMs: 5_779 },
      { atMs: 8_281, kind: 'bucket deleted' },
      { atMs: 8_513, kind: 'split', side: ['us-east', 'eu-west'], forMs: 4_217 },
      { atMs: 10_264, kind: 'disk lost', who: 'eu-west', backMs: 5_285 },
    ],
  },
  {
    seed: '349',
    found: 'a router held more writes than its limit, of those a former leader had refused (writes)',
    faults: [
      { atMs: 2_416, kind: 'isolate', who: 'us-east', forMs: 2_150 },
      { atMs: 2_495, kind: 'promote', who: 'eu-west', by: 'router-1', force: true },
    ],
  },
  {
    seed: '1433',
    found:
      'a region was offered again and again a snapshot that its peer had made before it had what the region needs (snapshot-server)',
    faults: [
      { atMs: 1_959, kind: 'broker down', forMs: 3_898 },
      { atMs: 3_519, kind: 'disk lost', who: 'eu-west', backMs: 656 },
      { atMs: 6_679, kind: 'kill', who: 'ap-south', backMs: 3_131, effect: 0, after: false, unflushed: 'kept' },
      { atMs: 8_920, kind: 'promote', who: 'eu-west', by: 'router-2', force: false },
      { atMs: 11_350, kind: 'split', side: ['us-east', 'ap-south'], forMs: 3_157 },
      { atMs: 11_982, kind: 'disk restored', who: 'eu-west', ageMs: 1_564, backMs: 1_489 },
      { atMs: 12_449, kind: 'broker older copy', ageMs: 7_829 },
    ],
  },
  {
    seed: '4',
    theme: 'garbage in the stream',
    found: 'a foreign message at the end of a subject counted as shipped (shipper)',
  },
  {
    seed: '332',
    theme: 'an epoch is on one disk',
    found: 'an epoch was given to a second region while the disk that remembered it was absent (epochs)',
  },
  {
    seed: '334',
    theme: 'a handover loses its bucket',
    found: 'a handover was committed on a revision of the bucket that replaced its own (jetstream-control)',
  },
];
