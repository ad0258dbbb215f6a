/**
 * What happens when, drawn from a seed and nothing else: the same seed draws the same faults. Faults overlap; what a fault
 * takes hold of (a process, a wire) is left alone by the others until it is over.
 */
import { NATS } from '../harness/network.ts';
import { drawBetween, drawOne, seededRandom } from '../harness/seeded-random.ts';

export type Fault =
  | { readonly kind: 'kill' | 'stand still'; readonly process: string }
  | { readonly kind: 'kill all' }
  | { readonly kind: 'wipe nats' | 'back up nats' | 'restore nats' }
  | { readonly kind: 'cut' | 'black hole' | 'black hole there' | 'black hole back'; readonly wires: readonly string[] }
  | { readonly kind: 'delay'; readonly wires: readonly string[]; readonly mostMs: number }
  | { readonly kind: 'drill'; readonly region: string }
  | { readonly kind: 'promote' | 'force'; readonly region: string }
  | { readonly kind: 'clock'; readonly region: string; readonly offMs: number };

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
}

/** Drawn as often as it is named. */
const kinds = [
  ...[
    'kill',
    'kill',
    'kill',
    'kill',
    'stand still',
    'stand still',
    'kill all',
    'wipe nats',
    'back up nats',
    'restore nats',
  ],
  ...['wire', 'wire', 'split', 'split', 'split', 'delay', 'delay', 'drill', 'drill', 'clock'],
  ...['promote', 'promote', 'promote', 'promote', 'force', 'force', 'force'],
] as const;

const GAP_MS = [100, 3_000] as const;
const LENGTH_MS = [200, 8_000] as const;

export function drawPlan({ seed, lengthMs, regions, routers, wires }: PlanOptions): PlannedFault[] {
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
  const draw = (): Fault => {
    const kind = drawOne(random, kinds);
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
        return { kind, region: drawOne(random, regions), offMs: drawOne(random, [-300_000, -20_000, 20_000, 300_000]) };
    }
  };

  const plan: PlannedFault[] = [];
  for (let atMs = drawBetween(random, ...GAP_MS); atMs < lengthMs; atMs += drawBetween(random, ...GAP_MS)) {
    plan.push({ fault: draw(), atMs, forMs: drawBetween(random, ...LENGTH_MS) });
  }
  return plan;
}

/** What nobody else may touch while it lasts. */
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
      return [`clock of ${fault.region}`];
    case 'promote':
    case 'force':
      return [];
  }
}

export function describeFault({ fault, forMs }: PlannedFault): string {
  const { kind, ...what } = fault;
  const details = Object.values(what).map((value) => (Array.isArray(value) ? value.join(', ') : String(value)));
  return `${kind} ${details.join(' ')} for ${forMs} ms`;
}
