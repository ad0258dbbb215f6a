/**
 * The faults of a run, drawn from the seed before it begins: a list, each with its time and all its parameters, so that any of
 * them can be omitted and the rest stays the same (`shrink.ts`).
 */
import type { Chance } from './chance.ts';
import type { Into } from './intruder.ts';
import type { Trouble } from './network.ts';
import { regionNames, routerNames } from './world.ts';

interface At {
  /** Virtual ms since the run began. */
  readonly atMs: number;
}

export type FaultEvent = At &
  (
    | {
        readonly kind: 'kill';
        readonly who: string;
        readonly backMs: number;
        /** Effects of the process from then on; 0: at once. */
        readonly effect: number;
        readonly after: boolean;
        readonly unflushed: 'lost' | 'kept';
      }
    | { readonly kind: 'stop'; readonly who: string; readonly backMs: number }
    | { readonly kind: 'freeze'; readonly who: string; readonly forMs: number }
    /** It computes for that long, before the effect of that number from then on. */
    | { readonly kind: 'stall'; readonly who: string; readonly effect: number; readonly forMs: number }
    | { readonly kind: 'kill all'; readonly backMs: number; readonly unflushed: 'lost' | 'kept' }
    | { readonly kind: 'partition'; readonly who: string; readonly by: string; readonly healAfter: number | undefined }
    | { readonly kind: 'heal'; readonly who: string; readonly by: string; readonly wait: boolean }
    | { readonly kind: 'promote'; readonly who: string; readonly by: string; readonly force: boolean }
    | { readonly kind: 'verify'; readonly by: string }
    | {
        readonly kind: 'way';
        readonly trouble: Trouble;
        readonly from: string;
        readonly to: string;
        readonly forMs: number;
      }
    | { readonly kind: 'isolate'; readonly who: string; readonly forMs: number }
    /** No messages pass between these and all others. */
    | { readonly kind: 'split'; readonly side: readonly string[]; readonly forMs: number }
    | { readonly kind: 'broker down'; readonly forMs: number }
    | { readonly kind: 'broker paused'; readonly forMs: number }
    | { readonly kind: 'broker restarts'; readonly lost: number }
    | { readonly kind: 'broker wiped'; readonly downMs: number }
    | { readonly kind: 'broker older copy'; readonly ageMs: number }
    | { readonly kind: 'stream deleted' }
    | { readonly kind: 'stream trimmed'; readonly keep: number }
    | { readonly kind: 'bucket deleted' }
    | {
        readonly kind: 'publish fault';
        readonly who: string;
        readonly what: 'lost_ack' | 'late' | 'dropped';
        readonly landsMs: number;
      }
    | { readonly kind: 'key answer lost'; readonly who: string }
    | { readonly kind: 'consumer stalls'; readonly who: string }
    | { readonly kind: 'redelivery'; readonly who: string; readonly count: number }
    | { readonly kind: 'disk full'; readonly who: string; readonly forMs: number }
    | { readonly kind: 'disk fails'; readonly who: string; readonly how: 'storage_full' | 'storage_failed' }
    | { readonly kind: 'disk slow'; readonly who: string; readonly flushMs: number; readonly forMs: number }
    | { readonly kind: 'disk lost'; readonly who: string; readonly backMs: number }
    /** The last disk that was lost was only taken out. */
    | { readonly kind: 'disk returned'; readonly who: string; readonly backMs: number }
    | { readonly kind: 'disk restored'; readonly who: string; readonly ageMs: number; readonly backMs: number }
    /** An operator says that the disks that no region runs on will not return. */
    | { readonly kind: 'disks retired'; readonly by: string }
    /** Every clock advances by days, without events in them. */
    | { readonly kind: 'days pass'; readonly days: number }
    /** Messages from one to another reach a third instead: an address that was copied or reassigned. */
    | {
        readonly kind: 'wrong address';
        readonly from: string;
        readonly to: string;
        readonly instead: string;
        readonly forMs: number;
      }
    | { readonly kind: 'second process'; readonly who: string; readonly forMs: number }
    /** Before anything runs: every disk has the origins of many former terms. */
    | { readonly kind: 'old origins'; readonly count: number; readonly trimmed: boolean }
    /** An intruder; `draw` decides what it sends. */
    | { readonly kind: 'garbage published'; readonly into: Into; readonly draw: number; readonly absurd: boolean }
    | { readonly kind: 'garbage key'; readonly key: string; readonly draw: number }
    | { readonly kind: 'garbage posted'; readonly who: string; readonly draw: number }
    /** A client puts an item with so many texts in a list, and so many words that no other item has. */
    | {
        readonly kind: 'hostile item';
        readonly by: string;
        readonly entity: number;
        readonly texts: number;
        readonly words: number;
      }
    /** A client sends a signal under a key; the same one again where the key was used before. */
    | { readonly kind: 'keyed signal'; readonly by: string; readonly key: string }
    /** Once all is well the disk of the leader is full, and another region is promoted. */
    | { readonly kind: 'full disk hands over' }
    /** Once all is well the leader receives SIGTERM, and hands over before it stops. */
    | { readonly kind: 'leader stops' }
    /** Once all is well, nothing happens for a while; then every region dies. */
    | { readonly kind: 'quiet end'; readonly forMs: number }
    | { readonly kind: 'clock steps'; readonly who: string; readonly byMs: number; readonly forMs: number }
  );

export type FaultKind = FaultEvent['kind'];

/** Those that are drawn by themselves; others only belong to a theme (`themes.ts`). */
type Single = Exclude<
  FaultKind,
  | 'quiet end'
  | 'days pass'
  | 'disk returned'
  | 'wrong address'
  | 'stall'
  | 'garbage published'
  | 'garbage key'
  | 'garbage posted'
  | 'second process'
  | 'old origins'
  | 'hostile item'
  | 'keyed signal'
  | 'disks retired'
  | 'full disk hands over'
  | 'leader stops'
>;

/** How often each is drawn in a run that has it at all. */
const weights: readonly (readonly [Single, number])[] = [
  ['kill', 14],
  ['stop', 3],
  ['freeze', 5],
  ['kill all', 1],
  ['partition', 5],
  ['heal', 5],
  ['promote', 9],
  ['verify', 2],
  ['way', 8],
  ['isolate', 3],
  ['split', 4],
  ['broker down', 3],
  ['broker paused', 3],
  ['broker restarts', 2],
  ['broker wiped', 2],
  ['broker older copy', 2],
  ['stream deleted', 1],
  ['stream trimmed', 2],
  ['bucket deleted', 1],
  ['publish fault', 6],
  ['key answer lost', 2],
  ['consumer stalls', 2],
  ['redelivery', 2],
  ['disk full', 2],
  ['disk fails', 2],
  ['disk slow', 3],
  ['disk lost', 2],
  ['disk restored', 2],
  ['clock steps', 3],
];

const parts = [...regionNames, ...routerNames];

/** Few kinds a run: what needs three particular faults in a row is met sooner than among all of them. */
export function planFaults(chance: Chance, horizonMs: number): FaultEvent[] {
  const few = chance.chance(0.75);
  const kinds = weights.filter(() => !few || chance.chance(0.3));
  const count =
    kinds.length === 0
      ? 0
      : chance.weighted([
          [chance.below(4), 1],
          [3 + chance.below(10), 4],
          [10 + chance.below(20), 2],
        ]);
  const faults: FaultEvent[] = theme(chance, horizonMs);
  for (let index = 0; index < count; index++) {
    const atMs = Math.round(chance.between(1_000, horizonMs));
    const fault = { atMs, ...draw(chance, chance.weighted(kinds)) } as FaultEvent;
    faults.push(fault, ...followUps(chance, fault));
  }
  // What would follow up later is left out: by then every fault has ended.
  return faults.filter(({ atMs }) => atMs < horizonMs);
}

export function inOrder(faults: readonly FaultEvent[]): FaultEvent[] {
  return [...faults].sort((a, b) => a.atMs - b.atMs);
}

/** Now and then a run begins with what it takes for two leaders to accept at once, or for two to become leader at once. */
function theme(chance: Chance, horizonMs: number): FaultEvent[] {
  const drawn = chance.fraction();
  if (drawn < 0.12) {
    const [one, other] = chance.chance(0.5) ? routerNames : [...routerNames].reverse();
    const atMs = Math.round(chance.between(1_200, horizonMs / 2));
    const [leader, ...others] = regionNames;
    const promoteMs = atMs + Math.round(chance.between(100, 1_500));
    return [
      { atMs, kind: 'split', side: [leader, one!], forMs: Math.round(chance.between(2_500, 9_000)) },
      { atMs: promoteMs, kind: 'promote', who: chance.pick(others), by: other!, force: true },
    ];
  }
  if (drawn > 0.08 + 0.12) return [];
  return Array.from({ length: 3 }, () => {
    const atMs = Math.round(chance.between(1_200, horizonMs));
    const [one, other] = chance.chance(0.5) ? routerNames : [...routerNames].reverse();
    const [planned, forced] = chance.chance(0.5) ? regionNames.slice(1) : [...regionNames].reverse();
    const soonMs = atMs + Math.round(chance.between(0, 100));
    return [
      { atMs, kind: 'promote' as const, who: planned!, by: one!, force: false },
      { atMs: soonMs, kind: 'promote' as const, who: forced!, by: other!, force: true },
    ];
  }).flat();
}

/**
 * What people do about a fault, or while another does the same: two that belong together meet far more often than two
 * that are drawn apart.
 */
function followUps(chance: Chance, fault: FaultEvent): FaultEvent[] {
  if (fault.kind === 'split' && chance.chance(0.6)) {
    const others = (names: readonly string[]): string[] => names.filter((name) => !fault.side.includes(name));
    const [who, by] = [others(regionNames), others(routerNames)];
    const atMs = fault.atMs + Math.round(chance.between(100, 4_000));
    if (who.length > 0 && by.length > 0) {
      return [{ atMs, kind: 'promote', who: chance.pick(who), by: chance.pick(by), force: true }];
    }
  }
  if (fault.kind === 'promote' && !fault.force) {
    // The target stops in the middle of the handover, for longer than the old leader would like to wait; or the old leader
    // has writes in progress that take their time.
    const pause = chance.fork(`pause at ${fault.atMs}`);
    if (pause.chance(0.5)) {
      const atMs = fault.atMs + Math.round(pause.between(25, 75));
      return [{ atMs, kind: 'freeze', who: fault.who, forMs: Math.round(pause.between(3_500, 7_400)) }];
    }
    if (pause.chance(0.4)) {
      const flushMs = Math.round(pause.between(50, 800));
      return [{ atMs: fault.atMs - 100, kind: 'disk slow', who: regionNames[0], flushMs, forMs: 1_000 }];
    }
  }
  if (fault.kind === 'promote' && chance.chance(0.4)) {
    const atMs = fault.atMs + Math.round(chance.exponential(60));
    const by = routerNames.find((name) => name !== fault.by)!;
    return [{ atMs, kind: 'promote', who: chance.pick(regionNames), by, force: chance.chance(0.6) }];
  }
  return [];
}

function draw(chance: Chance, kind: Single): Omit<FaultEvent, 'atMs'> {
  const region = chance.pick(regionNames);
  const part = chance.chance(0.8) ? region : chance.pick(routerNames);
  const by = chance.pick(routerNames);
  const shortMs = Math.round(chance.between(50, 3_000));
  const longMs = Math.round(chance.exponential(4_000));
  const backMs = chance.chance(0.5) ? shortMs : longMs;
  const unflushed = chance.pick(['lost', 'kept'] as const);
  switch (kind) {
    case 'kill': {
      const effect = chance.chance(0.6) ? 1 + chance.below(40) : 0;
      return { kind, who: part, backMs, effect, after: chance.chance(0.5), unflushed } as FaultEvent;
    }
    case 'stop':
      return { kind, who: part, backMs } as FaultEvent;
    case 'freeze':
      return { kind, who: chance.pick(parts), forMs: chance.chance(0.3) ? longMs + 6_000 : longMs } as FaultEvent;
    case 'kill all':
      return { kind, backMs, unflushed } as FaultEvent;
    case 'partition':
      return { kind, who: region, by, healAfter: chance.chance(0.3) ? shortMs / 1_000 : undefined } as FaultEvent;
    case 'heal':
      return { kind, who: region, by, wait: chance.chance(0.3) } as FaultEvent;
    case 'promote':
      return { kind, who: region, by, force: chance.chance(0.4) } as FaultEvent;
    case 'verify':
      return { kind, by } as FaultEvent;
    case 'way': {
      const ends = [...parts, 'nats'];
      const from = chance.pick(ends);
      const to = chance.pick(ends.filter((end) => end !== from));
      return { kind, trouble: chance.pick(['cut', 'cut', 'slow', 'lossy']), from, to, forMs: longMs } as FaultEvent;
    }
    case 'isolate':
      return { kind, who: part, forMs: longMs } as FaultEvent;
    case 'split': {
      // Who leads first, leads longest.
      const one = chance.chance(0.5) ? regionNames[0] : region;
      const router = chance.chance(0.6) ? chance.pick(routerNames) : undefined;
      const side: readonly string[] = [
        ...regionNames.filter((name) => name === one || chance.chance(0.25)),
        ...routerNames.filter((name) => (router === undefined ? chance.chance(0.3) : name === router)),
      ];
      return { kind, side, forMs: longMs + 2_000 } as unknown as FaultEvent;
    }
    case 'broker down':
    case 'broker paused':
      return { kind, forMs: longMs } as FaultEvent;
    case 'broker restarts':
      return { kind, lost: chance.chance(0.6) ? 1 + chance.below(5) : 0 } as FaultEvent;
    case 'broker wiped':
      return { kind, downMs: shortMs } as FaultEvent;
    case 'broker older copy':
      return { kind, ageMs: chance.exponential(3_000) } as FaultEvent;
    case 'stream deleted':
    case 'bucket deleted':
      return { kind } as FaultEvent;
    case 'stream trimmed':
      return { kind, keep: chance.below(3) } as FaultEvent;
    case 'publish fault':
      return { kind, who: region, what: chance.pick(['lost_ack', 'late', 'dropped']), landsMs: shortMs } as FaultEvent;
    case 'key answer lost':
      return { kind, who: chance.pick(parts) } as FaultEvent;
    case 'consumer stalls':
      return { kind, who: region } as FaultEvent;
    case 'redelivery':
      return { kind, who: region, count: 1 + chance.below(10) } as FaultEvent;
    case 'disk full':
      return { kind, who: region, forMs: longMs } as FaultEvent;
    case 'disk fails':
      return { kind, who: region, how: chance.pick(['storage_full', 'storage_failed']) } as FaultEvent;
    case 'disk slow':
      return { kind, who: region, flushMs: chance.between(50, 1_500), forMs: longMs } as FaultEvent;
    case 'disk lost':
      return { kind, who: region, backMs } as FaultEvent;
    case 'disk restored':
      return { kind, who: region, ageMs: chance.exponential(4_000), backMs } as FaultEvent;
    case 'clock steps': {
      const size = chance.pick([200, 5_000, 45_000, 300_000]);
      const byMs = Math.round(chance.between(-size, size));
      return { kind, who: chance.pick(parts), byMs, forMs: longMs } as FaultEvent;
    }
  }
}

export function describeFault({ atMs, kind, ...rest }: FaultEvent): string {
  const details = Object.entries(rest).map(
    ([name, value]) => `${name}=${typeof value === 'number' ? Math.round(value) : value}`,
  );
  return `${String(atMs).padStart(6)} ms  ${kind}${details.length === 0 ? '' : ` (${details.join(', ')})`}`;
}
