/** Which of several copies of keyed writes count: the rule of `state/keys/keys.ts`, implemented a second time, naively. */
import type { KeyedSignal, Place } from '../../../services/region/state/keys/keys.ts';
import { HLC_PER_MS } from '../../../shared/protocol/events.ts';

const SEVEN_DAYS_MS = 7 * 86_400_000;

export interface PlacedSignal {
  readonly event: KeyedSignal;
  readonly place: Place;
}

/** The rule, literally: the winners of each id and body, but for requests that were taken back. */
export function winners<P extends PlacedSignal>(all: readonly P[]): Set<P> {
  const won = new Set<P>();
  const names = new Set(all.map(({ event }) => `${event.key.id} ${event.key.bodyHash}`));
  for (const name of names) {
    const own = all.filter(({ event }) => `${event.key.id} ${event.key.bodyHash}` === name);
    let left = own.filter(({ event }) => event.kind === 'signal');
    const isTakenBack = ({ event: taken }: P): boolean =>
      own.some(({ event }) => {
        if (event.kind !== 'retraction') return false;
        const [takenMs, atMs] = [taken, event].map(({ hlc }) => Math.floor(hlc / HLC_PER_MS)) as [number, number];
        return takenMs <= event.upToMs && atMs - takenMs < SEVEN_DAYS_MS;
      });
    while (left.length > 0) {
      const firstMs = Math.min(...left.map(({ event }) => Math.floor(event.hlc / HLC_PER_MS)));
      const within = left.filter(({ event }) => event.hlc / HLC_PER_MS - firstMs < SEVEN_DAYS_MS);
      const rank = ({ place }: P): string =>
        [place.epoch, place.origin, String(place.sequence).padStart(16, '0')].join(' ');
      if (!within.some(isTakenBack)) won.add(within.sort((a, b) => (rank(a) < rank(b) ? -1 : 1))[0]!);
      left = left.filter((one) => !within.includes(one));
    }
  }
  return won;
}
