/**
 * The signals of a round, from a seed, in the two languages they are sent in: NDJSON bodies for the router, pipelines of
 * commands for Redis. All bytes are made before anything is timed.
 */
import { Traffic } from '../world/traffic.ts';

export interface SignalEvent {
  readonly entity: number;
  readonly signal: string;
}

/** Zipf over the items 1 … `items`, of the six default signals. */
export function drawEvents(seed: number, items: number, count: number, exponent = 1): readonly SignalEvent[] {
  const traffic = new Traffic({ seed, items, exponent });
  return Array.from({ length: count }, () => {
    const event = traffic.signal(0, 0);
    if (event.kind !== 'signal') throw new Error('traffic draws signals');
    return { entity: event.entity, signal: event.signal };
  });
}

/** Each body `bulk` lines, the last one fewer. */
export function ndjsonBodies(events: readonly SignalEvent[], bulk: number): Buffer[] {
  return parts(events, bulk).map((part) =>
    Buffer.from(
      part.map(({ entity, signal }) => `{"entity_id":${entity},"signal":"${signal}","weight":1}\n`).join(''),
      'latin1',
    ),
  );
}

/** Commands of one event: it enters a stream, and four sorted sets, one a window. Each answers two lines. */
export const COMMANDS = 5;
const WINDOWS = ['1h', '24h', '7d', 'all'];

/** Pipelines of `size` events each, the last one fewer. */
export function redisPipelines(events: readonly SignalEvent[], size: number): Buffer[] {
  return parts(events, size).map((part) => Buffer.from(part.map(commandsOf).join(''), 'latin1'));
}

function commandsOf({ entity, signal }: SignalEvent): string {
  const sets = WINDOWS.map((window) => command('ZINCRBY', `${signal}:${window}`, '1', String(entity)));
  return command('XADD', 'events', '*', 'e', String(entity), 's', signal, 'w', '1') + sets.join('');
}

/** A command in RESP; ASCII words. */
export function command(...words: readonly string[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join('')}`;
}

function parts<T>(all: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(all.length / size) }, (_, index) =>
    all.slice(index * size, (index + 1) * size),
  );
}
