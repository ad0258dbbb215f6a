/** A bulk of signals as the router packs it, and as one write after another. */
import { SignalPacker, unpackSignals } from '../../../shared/protocol/packed-signals.ts';
import type { SignalColumns } from '../../../shared/protocol/signal-columns.ts';
import type { WireWrite } from '../../../shared/protocol/writes.ts';

export type WireSignal = WireWrite & { readonly k: 's' };

export function packedOf(signals: readonly WireSignal[]): string {
  const packer = new SignalPacker();
  for (const { e, s, w, t } of signals) packer.add(e, packer.kind(s), w, t);
  return packer.pack().packed;
}

export function columnsOf(signals: readonly WireSignal[]): SignalColumns {
  return unpackSignals(packedOf(signals));
}

export function wireSignals({ count, names, entities, kinds, weights, timesMs }: SignalColumns): WireSignal[] {
  return Array.from({ length: count }, (_, index): WireSignal => {
    const write = { k: 's', e: entities[index]!, s: names[kinds[index]!]!, w: weights[index]! } as const;
    return timesMs[index] === Number.POSITIVE_INFINITY ? write : { ...write, t: timesMs[index]! };
  });
}
