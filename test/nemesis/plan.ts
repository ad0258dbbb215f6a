/**
 * What happens when, drawn from a seed and nothing else: the same seed draws the same faults. Faults overlap; what a fault
 * takes hold of (a process, a wire) is left alone by the others until it is over.
 */

import { drawBetween, drawOne, seededRandom } from '../harness/kernel/seeded-random.ts';
import { NATS } from '../harness/network/network.ts';

export type Fault =
  | { readonly kind: 'kill' | 'stand still'; readonly process: string }
  | { readonly kind: 'kill all' }
  | { readonly kind: 'wipe nats' | 'back up nats' | 'restore nats' }
  | { readonly kind: 'cut' | 'black hole' | 'black hole there' | 'black hole back'; readonly wires: readonly string[] }
  | { readonly kind: 'delay'; readonly wires: readonly string[]; readonly mostMs: number }
  | { readonly kind: 'drill'; readonly region: string }
  | { readonly kind: 'promote' | 'force'; readonly region: string }
  | { readonly kind: 'clock'; readonly process: string; readonly offMs: number }
  | { readonly kind: 'full disk'; readonly region: string; readonly freeBytes: number }
  | { readonly kind: 'stream garbage' | 'key garbage'; readonly count: number; readonly seed: number }
  | {
      readonly kind: 'request garbage';
      readonly region: string;
      readonly count: number;
      readonly seed: number;
    };

export interface PlannedFault {
  readonly fault: Fault;
  readonly atMs: number;
  /** How long it lasts, where it lasts. */
  readonly forMs: number;
}

export interface PlanOptions {
  readonly seed: number;
  readonly lengthMs: number;
  readonly regions: readonly string[];
  readonly routers: readonly string[];
  /** Names of the wires, `from > to`. */
  readonly wires: readonly string[];
  /** Regions whose disk can be full. */
  readonly disks: readonly string[];
  /** The faults to draw from; absent: all. */
  readonly faults?: readonly FaultName[];
}

/** How often each is in the deck that faults are drawn from. */
const deck = {
  kill: 4,
  'stand still': 2,
  'kill all': 1,
  'wipe nats': 1,
  'back up nats': 1,
  'restore nats': 1,
  wire: 2,
  split: 3,
  delay: 2,
  drill: 2,
  promote: 4,
  force: 3,
  clock: 3,
  'full disk': 3,
  'stream garbage': 2,
  'key garbage': 2,
  'request garbage': 2,
} as const;

export type FaultName = keyof typeof deck;
export const faultNames = Object.keys(deck) as readonly FaultName[];

const SECOND_MS = 1_000;
const HOUR_MS = 3_600 * SECOND_MS;
const clockStepsMs = [2 * SECOND_MS, 20 * SECOND_MS, 300 * SECOND_MS, 2 * HOUR_MS, 30 * HOUR_MS, 30 * 24 * HOUR_MS];
const freeSizes = [0, 64 * 1024, 256 * 1024] as const;

const GAP_MS = [100, 3_000] as const;
const LENGTH_MS = [200, 8_000] as const;

export function drawPlan(options: PlanOptions): PlannedFault[] {
  const { seed, lengthMs, regions, routers, wires, disks, faults = faultNames } = options;
  const random = seededRandom(seed * 2 + 1);
  // Seeds that are close begin alike.
  random.bytes(64);
  const everybody = [...regions, ...routers, NATS];

  /** Wires between two halves of the cluster: a partition. */
  const split = (): string[] => {
    const side = new Map(everybody.map((name) => [name, drawBetween(random, 0, 1)]));
    return wires.filter((wire) => {
      const [from = '', to = ''] = wire.split(' > ');
      return side.get(from) !== side.get(to);
    });
  };
  const broken = (some: readonly string[]): Fault => ({
    kind: drawOne(random, ['cut', 'cut', 'black hole', 'black hole', 'black hole there', 'black hole back'] as const),
    wires: some,
  });
  const possible = faults.filter((name) => name !== 'full disk' || disks.length > 0);
  const whole = possible.flatMap((name) => Array.from({ length: deck[name] }, () => name));
  let left: FaultName[] = [];
  /** From a deck that is new when it is used up: a run of a few minutes has every kind. */
  const drawName = (): FaultName => {
    if (left.length === 0) left = [...whole];
    const [name] = left.splice(drawBetween(random, 0, left.length - 1), 1);
    if (name === undefined) throw new Error('no fault to draw');
    return name;
  };
  const draw = (): Fault => {
    const kind = drawName();
    switch (kind) {
      case 'kill':
      case 'stand still':
        return { kind, process: drawOne(random, everybody) };
      case 'kill all':
      case 'wipe nats':
      case 'back up nats':
      case 'restore nats':
        return { kind };
      case 'wire':
        return broken([drawOne(random, wires)]);
      case 'split':
        return broken(split());
      case 'delay':
        return { kind, wires: split(), mostMs: drawBetween(random, 50, 2_000) };
      case 'drill':
      case 'promote':
      case 'force':
        return { kind, region: drawOne(random, regions) };
      case 'clock':
        return {
          kind,
          process: drawOne(random, [...regions, ...routers]),
          offMs: drawOne(random, clockStepsMs) * drawOne(random, [1, -1]),
        };
      case 'full disk':
        return { kind, region: drawOne(random, disks), freeBytes: drawOne(random, freeSizes) };
      case 'stream garbage':
      case 'key garbage':
        return { kind, count: drawBetween(random, 1, 12), seed: drawBetween(random, 0, 2 ** 31) };
      case 'request garbage':
        return {
          kind,
          region: drawOne(random, regions),
          count: drawBetween(random, 1, 24),
          seed: drawBetween(random, 0, 2 ** 31),
        };
    }
  };

  const plan: PlannedFault[] = [];
  for (let atMs = drawBetween(random, ...GAP_MS); atMs < lengthMs; atMs += drawBetween(random, ...GAP_MS)) {
    plan.push({ fault: draw(), atMs, forMs: drawBetween(random, ...LENGTH_MS) });
  }
  return plan;
}

/** What no other fault may use while it lasts. */
export function resourcesOf(fault: Fault, processes: readonly string[]): readonly string[] {
  switch (fault.kind) {
    case 'kill':
    case 'stand still':
      return [fault.process];
    case 'kill all':
      return [...processes, NATS];
    case 'wipe nats':
    case 'back up nats':
    case 'restore nats':
      return [NATS];
    case 'cut':
    case 'black hole':
    case 'black hole there':
    case 'black hole back':
    case 'delay':
      return fault.wires;
    case 'drill':
      return [`drill of ${fault.region}`];
    case 'clock':
      // One at a time: most clocks are right.
      return ['clock'];
    case 'full disk':
      return [`disk of ${fault.region}`];
    case 'promote':
    case 'force':
    case 'stream garbage':
    case 'key garbage':
    case 'request garbage':
      return [];
  }
}

export function describeFault({ fault, forMs }: PlannedFault): string {
  const { kind, ...what } = fault;
  const details = Object.values(what).map((value) => (Array.isArray(value) ? value.join(', ') : String(value)));
  return `${kind} ${details.join(' ')} for ${forMs} ms`;
}
