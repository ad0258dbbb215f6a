/**
 * Faults that are dangerous only together, drawn together: a theme is a short sequence of faults, and a run has one of them or
 * none. It is in addition to the faults of `faults.ts`, with randomness of its own.
 */
import { aliveKey } from '../../shared/leadership/leadership.ts';
import type { Chance } from './chance.ts';
import type { FaultEvent } from './faults.ts';
import { regionNames, routerNames } from './world.ts';

export interface Stage {
  readonly horizonMs: number;
  readonly failover: 'manual' | 'automatic';
}

type Theme = (chance: Chance, stage: Stage) => FaultEvent[];

/** How often a run has a theme at all. */
const THEMES = 0.5;

/** Who leads first, leads longest. */
function likelyLeader(chance: Chance): string {
  return chance.chance(0.7) ? regionNames[0] : chance.pick(regionNames);
}

/** One router, or its network, is isolated from the leader for longer than failover waits; the others are not. */
const anIsolatedRouter: Theme = (chance, { horizonMs }) => {
  const [router, leader] = [chance.pick(routerNames), likelyLeader(chance)];
  const atMs = Math.round(chance.between(1_000, Math.max(1_500, horizonMs - 9_000)));
  const forMs = Math.round(chance.between(7_500, 16_000));
  return [
    { atMs, kind: 'way', trouble: 'cut', from: router, to: leader, forMs },
    { atMs, kind: 'way', trouble: 'cut', from: leader, to: router, forMs },
  ];
};

/** A leader is partitioned by a drill and then really unreachable for longer than failover waits. */
const aPartitionedLeaderDies: Theme = (chance, { horizonMs }) => {
  const who = likelyLeader(chance);
  const atMs = Math.round(chance.between(1_000, Math.max(1_500, horizonMs - 12_000)));
  // Its key has said so for longer than what a router read of it can be old.
  const awayMs = atMs + Math.round(chance.between(3_200, 4_500));
  const backMs = Math.round(chance.between(7_500, 12_000));
  return [
    { atMs, kind: 'partition', who, by: chance.pick(routerNames), healAfter: undefined },
    chance.chance(0.5)
      ? { atMs: awayMs, kind: 'kill', who, backMs, effect: 0, after: false, unflushed: 'lost' }
      : { atMs: awayMs, kind: 'freeze', who, forMs: backMs },
  ];
};

/**
 * A disk has no free space while a checkpoint is written and has free space again for the next one, without a change since then
 * of the shards that were not stored; and the region starts from what was written.
 */
const aCheckpointOnAFullDisk: Theme = (chance, { horizonMs }) => {
  const atMs = Math.round(chance.between(horizonMs - 2_500, horizonMs - 200));
  return [
    { atMs, kind: 'disk full', who: chance.pick(regionNames), forMs: horizonMs },
    // Longer than a checkpoint that was given up waits before it is tried again.
    { atMs: 0, kind: 'quiet end', forMs: 33_000 },
  ];
};

/** Processes that compute for long just before one of their effects. */
const computing: Theme = (chance, { horizonMs }) =>
  Array.from({ length: 1 + chance.below(4) }, () => ({
    atMs: Math.round(chance.between(1_000, horizonMs)),
    kind: 'stall',
    who: chance.chance(0.5) ? likelyLeader(chance) : chance.pick([...regionNames, ...routerNames]),
    effect: 1 + chance.below(60),
    forMs: Math.round(chance.pick([300, 1_500, 4_500, 12_000]) * chance.between(0.5, 1.5)),
  }));

/** A leader is paused and replaced; messages in its socket reach it when it resumes. */
const aLeaderIsPaused: Theme = (chance, { horizonMs }) => {
  const atMs = Math.round(chance.between(1_000, Math.max(1_500, horizonMs - 6_000)));
  const forMs = Math.round(chance.between(3_100, 7_000));
  const promoteMs = atMs + Math.round(chance.between(400, 2_500));
  return [
    { atMs, kind: 'freeze', who: regionNames[0], forMs },
    {
      atMs: promoteMs,
      kind: 'promote',
      who: chance.pick(regionNames.slice(1)),
      by: chance.pick(routerNames),
      force: true,
    },
  ];
};

/** The disk of the leader is full and stays so until another region leads; or a region leads that could not store that it does. */
const aLeaderHasAFullDisk: Theme = (chance, { horizonMs }) => {
  if (chance.chance(0.5)) return [{ atMs: 0, kind: 'full disk hands over' }];
  const who = chance.pick(regionNames.slice(1));
  const atMs = Math.round(chance.between(1_000, Math.max(1_500, horizonMs - 5_000)));
  const promoteMs = atMs + Math.round(chance.between(50, 300));
  const forMs = promoteMs - atMs + Math.round(chance.between(200, 4_000));
  return [
    { atMs, kind: 'disk full', who, forMs },
    { atMs: promoteMs, kind: 'promote', who, by: chance.pick(routerNames), force: true },
  ];
};

/**
 * The leader receives SIGTERM while another part that the handover needs is unreachable, stopping as well, or slow; and again
 * when all is well.
 */
const aLeaderReceivesSigterm: Theme = (chance, { horizonMs }) => {
  const atMs = Math.round(chance.between(1_000, Math.max(1_500, horizonMs - 6_000)));
  const backMs = Math.round(chance.between(100, 4_000));
  const other = chance.pick([...regionNames.slice(1), ...routerNames]);
  const soonMs = atMs + Math.round(chance.between(-500, 1_500));
  const forMs = Math.round(chance.between(300, 6_000));
  const besides = chance.pick<FaultEvent | undefined>([
    undefined,
    { atMs: soonMs, kind: 'stop', who: other, backMs },
    { atMs: soonMs, kind: 'kill', who: other, backMs, effect: 0, after: false, unflushed: 'lost' },
    { atMs: soonMs, kind: 'stall', who: chance.pick([other, regionNames[0]]), effect: 1 + chance.below(10), forMs },
    { atMs: soonMs, kind: 'disk slow', who: chance.pick(regionNames), flushMs: chance.between(50, 1_500), forMs },
    { atMs: soonMs, kind: 'broker paused', forMs },
  ]);
  return [
    { atMs, kind: 'stop', who: likelyLeader(chance), backMs },
    ...(besides === undefined ? [] : [besides]),
    { atMs: 0, kind: 'leader stops' },
  ];
};

/** One of those who hand over computes for long between two of its steps. */
const aHandoverStalls: Theme = (chance, { horizonMs }) => {
  const atMs = Math.round(chance.between(1_500, Math.max(2_000, horizonMs - 4_000)));
  const by = chance.pick(routerNames);
  const who = chance.pick(regionNames.slice(1));
  return [
    { atMs, kind: 'promote', who, by, force: false },
    {
      atMs: atMs + Math.round(chance.between(0, 40)),
      kind: 'stall',
      who: chance.pick([by, who, regionNames[0]]),
      effect: 1 + chance.below(10),
      forMs: Math.round(chance.pick([2_500, 9_000, 11_500]) * chance.between(0.8, 1.2)),
    },
  ];
};

/**
 * A handover waits for its target while the control bucket is lost and recreated, and another one is announced in the new bucket,
 * whose revisions are counted from the beginning.
 */
const aHandoverLosesItsBucket: Theme = (chance, { horizonMs }) => {
  const atMs = Math.round(chance.between(1_000, Math.max(1_500, horizonMs - 7_000)));
  const [by, other] = chance.chance(0.5) ? routerNames : [...routerNames].reverse();
  const [who, third] = chance.chance(0.5) ? regionNames.slice(1) : [...regionNames.slice(1)].reverse();
  const lostMs = atMs + Math.round(chance.between(40, 600));
  const againMs = lostMs + Math.round(chance.between(1_200, 3_500));
  // They answer, so that they count as responsive, but do not advance for a while.
  const slow = (name: string): FaultEvent => ({
    ...{
      atMs: atMs - 400,
      kind: 'disk slow',
      who: name,
      flushMs: Math.round(chance.between(2_500, 7_000)),
      forMs: 5_000,
    },
  });
  return [
    ...regionNames.slice(1).map(slow),
    { atMs, kind: 'promote', who: who!, by: by!, force: false },
    chance.chance(0.7)
      ? { atMs: lostMs, kind: 'bucket deleted' }
      : { atMs: lostMs, kind: 'broker wiped', downMs: Math.round(chance.between(50, 500)) },
    { atMs: againMs, kind: 'promote', who: third!, by: other!, force: false },
  ];
};

/** A leader whose record is in no bucket any more is down with its disk, and another one is promoted. */
const anEpochIsOnOneDisk: Theme = (chance, { horizonMs }) => {
  if (horizonMs < 11_000) return [];
  const [who, third] = chance.chance(0.5) ? regionNames.slice(1) : [...regionNames.slice(1)].reverse();
  const at = (ms: number): number => Math.round(4_100 + ms + chance.between(0, 200));
  const dies = (atMs: number, part: string, backMs: number): FaultEvent => ({
    ...{ atMs, kind: 'kill', who: part, backMs, effect: 0, after: false, unflushed: 'kept' },
  });
  return [
    dies(at(0), regionNames[0], 3_000),
    dies(at(0), third!, 3_000),
    { atMs: at(300), kind: 'promote', who: who!, by: chance.pick(routerNames), force: true },
    dies(at(2_300), who!, 9_000),
    ...routerNames.map((name) => dies(at(2_300), name, 100)),
    { atMs: at(2_400), kind: 'broker older copy', ageMs: 2_300 },
    { atMs: at(5_200), kind: 'promote', who: third!, by: chance.pick(routerNames), force: true },
  ];
};

const DAY_MS = 86_400_000;

function daysOff(chance: Chance): number {
  return Math.round(chance.pick([1, 1, -1]) * chance.between(1, 40) * DAY_MS);
}

/** The clock of a region is days off, and the leader is unreachable: the region is asked to take over. */
const aWrongClockTakesOver: Theme = (chance, { horizonMs }) => {
  const who = chance.pick(regionNames.slice(1));
  const atMs = Math.round(chance.between(0, 2_000));
  const awayMs = atMs + Math.round(chance.between(200, 2_000));
  const forMs = Math.round(chance.between(2_000, horizonMs - 1_500));
  const backMs = Math.round(chance.between(4_000, 14_000));
  return [
    { atMs, kind: 'clock steps', who, byMs: daysOff(chance), forMs },
    { atMs: awayMs, kind: 'kill', who: regionNames[0], backMs, effect: 0, after: false, unflushed: 'lost' },
    ...(chance.chance(0.6)
      ? [{ atMs: awayMs + 500, kind: 'promote', who, by: chance.pick(routerNames), force: true } as const]
      : []),
  ];
};

/** Everything is restarted, the leader first, alone, with a clock that is days off. */
const aWrongClockStartsFirst: Theme = (chance, { horizonMs }) => {
  const atMs = Math.round(chance.between(1_000, Math.max(1_500, horizonMs / 2)));
  const [leader, ...others] = regionNames;
  const forMs = Math.round(chance.between(1_500, 9_000));
  const dies = (who: string, backMs: number): FaultEvent => ({
    ...{ atMs, kind: 'kill', who, backMs, effect: 0, after: false, unflushed: 'lost' },
  });
  return [
    { atMs, kind: 'clock steps', who: leader, byMs: daysOff(chance), forMs },
    dies(leader, 0),
    ...[...others, ...routerNames].map((who) => dies(who, Math.round(chance.between(0, 8_000)))),
  ];
};

/** The clock of the leader is set to another day while it takes writes, and set right again. */
const aLeadersClockIsSet: Theme = (chance, { horizonMs }) => {
  const atMs = Math.round(chance.between(1_000, Math.max(1_500, horizonMs - 6_000)));
  const forMs = Math.round(chance.between(200, 5_000));
  return [{ atMs, kind: 'clock steps', who: regionNames[0], byMs: daysOff(chance), forMs }];
};

/** Links between a region and a peer are slow, and between request and answer the address is reassigned to another. */
function anAddressChangesBeforeASnapshot(chance: Chance, horizonMs: number): FaultEvent[] {
  const from = chance.pick(regionNames);
  const to = chance.pick(regionNames.filter((name) => name !== from));
  const instead = chance.pick(regionNames.filter((name) => name !== to));
  const atMs = Math.round(chance.between(1_500, Math.max(2_000, horizonMs - 5_000)));
  const changedMs = atMs + Math.round(chance.between(1_050, 4_000));
  return [
    { atMs, kind: 'disk lost', who: from, backMs: 100 },
    { atMs, kind: 'way', trouble: 'slow', from, to, forMs: 8_000 },
    { atMs: changedMs, kind: 'wrong address', from, to, instead, forMs: 6_000 },
  ];
}

/** The clock of the leader is ahead, by less than makes it unsafe, until it is corrected; then the leader restarts. */
const aFastClockIsCorrected: Theme = (chance, { horizonMs }) => {
  const [who] = regionNames;
  const atMs = Math.round(chance.between(1_000, Math.max(1_500, horizonMs - 6_000)));
  const forMs = Math.round(chance.between(500, 3_000));
  const diesMs = atMs + forMs + Math.round(chance.between(0, 500));
  return [
    { atMs, kind: 'clock steps', who, byMs: Math.round(chance.between(3_000, 40_000)), forMs },
    { atMs: diesMs, kind: 'kill', who, backMs: 0, effect: 0, after: false, unflushed: 'lost' },
  ];
};

/** For a while a region has the address of another, or its own, for that of a third; or as soon as it needs a snapshot. */
const aWrongAddress: Theme = (chance, { horizonMs }) => {
  if (chance.chance(0.4)) return anAddressChangesBeforeASnapshot(chance, horizonMs);
  const from = chance.chance(0.8) ? chance.pick(regionNames) : chance.pick(routerNames);
  const to = chance.pick(regionNames.filter((name) => name !== from));
  return [
    {
      atMs: chance.chance(0.5) ? 0 : Math.round(chance.between(0, horizonMs / 2)),
      kind: 'wrong address',
      from,
      to,
      instead: chance.pick(regionNames.filter((name) => name !== to)),
      forMs: Math.round(chance.between(2_000, horizonMs)),
    },
  ];
};

/**
 * A router sends what waits in one request, and the shortest queue of a region has capacity for 8 writes: these, and one of each
 * client. (A real one has capacity for every request of a router.)
 */
const SENT_AT_ONCE = 3;

/** Signals under keys, each by one router and later by the other one. */
function sentTwice(chance: Chance, one: string, other: string, fromMs: number, againMs: number): FaultEvent[] {
  return Array.from({ length: SENT_AT_ONCE }, (_, index): FaultEvent[] => {
    const key = `sent-twice-${index}`;
    return [
      { atMs: Math.round(fromMs + chance.between(0, 1_000)), kind: 'keyed signal', by: one, key },
      { atMs: Math.round(againMs + chance.between(0, 1_500)), kind: 'keyed signal', by: other, key },
    ];
  }).flat();
}

/**
 * A leader takes keyed writes while it is isolated; its disk is taken out, and what it took is sent again to its successor. When
 * every copy's days are over, and some region has removed the records, the old disk is restored.
 */
const anOldDiskReturns: Theme = (chance, { horizonMs }) => {
  if (horizonMs < 10_500) return [];
  const [leader, other, third] = chance.chance(0.5) ? regionNames : [regionNames[0], regionNames[2], regionNames[1]];
  const [router, otherRouter] = chance.chance(0.5) ? routerNames : [...routerNames].reverse();
  const at = (ms: number): number => Math.round(1_300 + ms + chance.between(0, 200));
  const dies = (atMs: number, who: string): FaultEvent => ({
    ...{ atMs, kind: 'kill', who, backMs: 0, effect: 0, after: false, unflushed: 'lost' },
  });
  return [
    { atMs: at(0), kind: 'split', side: [leader, router!], forMs: 2_200 },
    ...sentTwice(chance, router!, otherRouter!, at(300), at(1_900)),
    { atMs: at(400), kind: 'promote', who: other, by: otherRouter!, force: true },
    { atMs: at(1_600), kind: 'disk lost', who: leader, backMs: 200 },
    ...(chance.chance(0.7) ? [{ atMs: at(3_800), kind: 'disks retired', by: otherRouter! } as const] : []),
    { atMs: at(4_600), kind: 'days pass', days: 9 },
    // A region that is started removes records a second later, a running one within ten minutes: by then it knows the others'
    // disks.
    dies(at(5_300), third),
    dies(at(6_000), other),
    { atMs: at(8_300), kind: 'disk returned', who: leader, backMs: 200 },
  ];
};

/**
 * A leader, its clock perhaps ahead, takes writes while it is isolated, and they are sent again to its successor; then its tail comes
 * to the others, and each of them starts from its checkpoint.
 */
const aTailArrivesLate: Theme = (chance, { horizonMs }) => {
  const [router, otherRouter] = chance.chance(0.5) ? routerNames : [...routerNames].reverse();
  const [leader, ...others] = regionNames;
  const at = (ms: number): number => Math.round(1_500 + ms + chance.between(0, 300));
  const byMs = Math.round(chance.between(3_000, 40_000));
  const dies = (who: string): FaultEvent => ({
    ...{ atMs: Math.round(chance.between(5_000, horizonMs)), kind: 'kill', who, backMs: 0, effect: 0 },
    ...{ after: false, unflushed: 'lost' },
  });
  return [
    ...(chance.chance(0.5) ? [{ atMs: at(-800), kind: 'clock steps', who: leader, byMs, forMs: 3_500 } as const] : []),
    { atMs: at(0), kind: 'split', side: [leader, router!], forMs: Math.round(chance.between(1_500, 3_000)) },
    ...sentTwice(chance, router!, otherRouter!, at(300), at(1_200)),
    { atMs: at(400), kind: 'promote', who: chance.pick(others), by: otherRouter!, force: true },
    ...regionNames.flatMap((who) => (chance.chance(0.7) ? [dies(who)] : [])),
  ];
};

/** The stream loses its end while a region is away, and later messages have the sequences of the lost ones. */
const aStreamLosesItsEnd: Theme = (chance, { horizonMs }) => {
  const atMs = Math.round(chance.between(2_000, Math.max(2_500, horizonMs - 4_000)));
  return chance
    .pick([regionNames.slice(1), regionNames.slice(2)])
    .flatMap((who): FaultEvent[] => [
      {
        ...{ atMs, kind: 'kill', who, backMs: Math.round(chance.between(1_500, 4_000)), effect: 0 },
        ...{ after: false, unflushed: 'kept' },
      },
    ])
    .concat({ atMs: atMs + Math.round(chance.between(20, 800)), kind: 'broker restarts', lost: 1 + chance.below(4) });
};

/** The leader's disk takes its time while many write at once: they wait, or are refused. */
const aSlowDisk: Theme = (chance, { horizonMs }) => {
  const atMs = Math.round(chance.between(1_000, Math.max(1_500, horizonMs - 6_000)));
  const flushMs = Math.round(chance.between(1_500, 4_000));
  const burst = routerNames.flatMap((by) =>
    Array.from(
      { length: SENT_AT_ONCE },
      (_, index): FaultEvent => ({
        atMs: Math.round(atMs + chance.between(200, 800)),
        kind: 'keyed signal',
        by,
        key: `of-a-burst-${by}-${index}`,
      }),
    ),
  );
  return [{ atMs, kind: 'disk slow', who: regionNames[0], flushMs, forMs: 5_000 }, ...burst];
};

/** Items that are much work for every region. */
const hostileItems: Theme = (chance, { horizonMs }) =>
  Array.from({ length: 1 + chance.below(3) }, () => ({
    atMs: Math.round(chance.between(1_000, horizonMs)),
    kind: 'hostile item',
    by: chance.pick(routerNames),
    // Of those that clients write, too.
    entity: 1 + chance.below(3),
    texts: chance.pick([10, 1_000]),
    words: chance.pick([10, 3_000]),
  }));

/** A second process is started on the disk of a region. */
const twoProcesses: Theme = (chance, { horizonMs }) => [
  {
    atMs: Math.round(chance.between(1_000, horizonMs)),
    kind: 'second process',
    who: chance.pick(regionNames),
    forMs: Math.round(chance.between(1_500, 9_000)),
  },
];

/** The cluster has run for years. */
const manyTerms: Theme = (chance) => [
  { atMs: 0, kind: 'old origins', count: chance.pick([150, 700]), trimmed: chance.chance(0.5) },
];

/** An intruder publishes what no client wrote. */
const garbage =
  (absurd: boolean): Theme =>
  (chance, { horizonMs }) =>
    Array.from({ length: 1 + chance.below(6) }, (_, draw) => ({
      absurd,
      atMs: Math.round(chance.between(500, horizonMs)),
      kind: 'garbage published',
      into: chance.pick(['the present origin', 'the present origin', 'an old origin', 'a forged origin'] as const),
      draw,
    }));

const garbageInTheKeys: Theme = (chance, { horizonMs }) =>
  Array.from({ length: 1 + chance.below(4) }, (_, draw) => ({
    atMs: Math.round(chance.between(500, horizonMs)),
    kind: 'garbage key',
    key: chance.pick(['leadership', 'leadership', 'lease', aliveKey(chance.pick(regionNames))]),
    draw,
  }));

const garbageInInternalRequests: Theme = (chance, { horizonMs }) =>
  Array.from({ length: 5 + chance.below(20) }, (_, draw) => ({
    atMs: Math.round(chance.between(500, horizonMs)),
    kind: 'garbage posted',
    who: chance.pick(regionNames),
    draw,
  }));

/** A weight of 0: only where it is asked for. */
interface Choice {
  readonly name: string;
  readonly theme: Theme;
  readonly weight: number;
  /** Says nothing with manual failover. */
  readonly automatic?: true;
}

const themes: readonly Choice[] = [
  { name: 'an isolated router', theme: anIsolatedRouter, weight: 3, automatic: true },
  { name: 'a partitioned leader dies', theme: aPartitionedLeaderDies, weight: 2, automatic: true },
  { name: 'a checkpoint on a full disk', theme: aCheckpointOnAFullDisk, weight: 2 },
  { name: 'computing', theme: computing, weight: 2 },
  { name: 'a handover stalls', theme: aHandoverStalls, weight: 2 },
  { name: 'a leader is paused', theme: aLeaderIsPaused, weight: 1 },
  { name: 'a leader has a full disk', theme: aLeaderHasAFullDisk, weight: 1 },
  { name: 'a leader receives SIGTERM', theme: aLeaderReceivesSigterm, weight: 2 },
  { name: 'a handover loses its bucket', theme: aHandoverLosesItsBucket, weight: 1 },
  { name: 'an epoch is on one disk', theme: anEpochIsOnOneDisk, weight: 1 },
  { name: 'a wrong clock takes over', theme: aWrongClockTakesOver, weight: 1 },
  { name: 'a wrong clock starts first', theme: aWrongClockStartsFirst, weight: 1 },
  { name: "the leader's clock is set", theme: aLeadersClockIsSet, weight: 1 },
  { name: 'a fast clock is corrected', theme: aFastClockIsCorrected, weight: 1 },
  { name: 'a wrong address', theme: aWrongAddress, weight: 1 },
  { name: 'an old disk returns', theme: anOldDiskReturns, weight: 1 },
  { name: 'a tail arrives late', theme: aTailArrivesLate, weight: 1 },
  { name: 'a stream loses its end', theme: aStreamLosesItsEnd, weight: 1 },
  { name: 'a slow disk', theme: aSlowDisk, weight: 1 },
  { name: 'hostile items', theme: hostileItems, weight: 1 },
  { name: 'two processes', theme: twoProcesses, weight: 1 },
  { name: 'many terms', theme: manyTerms, weight: 1 },
  { name: 'garbage in the stream', theme: garbage(false), weight: 2 },
  { name: 'an impossible clock or epoch', theme: garbage(true), weight: 1 },
  { name: 'garbage in the keys', theme: garbageInTheKeys, weight: 1 },
  { name: 'garbage in internal requests', theme: garbageInInternalRequests, weight: 1 },
];

export const themeNames: readonly string[] = themes.map(({ name }) => name);

/** With `only`, that one and no other; without, one that is drawn, or none. */
export function planTheme(chance: Chance, stage: Stage, only?: string): FaultEvent[] {
  const drawn = chance.chance(THEMES);
  if (!drawn && only === undefined) return [];
  const possible = themes.filter(({ automatic }) => automatic !== true || stage.failover === 'automatic');
  const theme =
    only === undefined
      ? chance.weighted(possible.map((choice) => [choice.theme, choice.weight] as const))
      : possible.find(({ name }) => name === only)?.theme;
  return theme?.(chance, stage).filter(({ atMs }) => atMs < stage.horizonMs) ?? [];
}
