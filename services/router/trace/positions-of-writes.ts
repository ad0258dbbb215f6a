/** Finds writes by their key or request. See `trace.ts`. */
import { Refusal } from '../../../shared/errors/errors.ts';
import { keyIdOn, parseIdempotencyKey } from '../../../shared/protocol/idempotency.ts';
import {
  covers,
  formatPosition,
  merge,
  missing,
  type Position,
  parsePosition,
} from '../../../shared/protocol/position.ts';
import { type WriteRoute, writeRoutes } from '../../../shared/protocol/writes.ts';
import type { RegionsView } from '../cluster/cluster.ts';
import type { RegionLink, RegionLinks } from '../links/links.ts';
import { RECENT_LIMIT, type Trace, type TraceAnswer, type TracedRegion, type TracedWrite } from './trace.ts';

export interface TraceOptions {
  readonly links: RegionLinks;
  readonly regions: Pick<RegionsView, 'ask'>;
  /** Of remembered request ids; default {@link RECENT_LIMIT}. */
  readonly recentLimit?: number;
}

export function createTrace({ links, regions, recentLimit = RECENT_LIMIT }: TraceOptions): Trace {
  /** Position by request id, the newest last. */
  const recent = new Map<string, string>();

  const withRegions = async (position: Position, writes?: readonly TracedWrite[]): Promise<TraceAnswer> => {
    const asked = await Promise.all([...links.keys()].map((name) => traced(name, position)));
    if (writes === undefined && !asked.some(({ durable }) => durable === true)) {
      const silent = asked.flatMap(({ name, reachable }) => (reachable ? [] : [name]));
      throw unknown('no region that answers has everything up to that position', silent, 'is it one of this cluster?');
    }
    return {
      position: formatPosition(position),
      ...(writes === undefined ? {} : { writes }),
      regions: asked,
    };
  };

  const traced = async (name: string, position: Position): Promise<TracedRegion> => {
    const known = await regions.ask(name);
    if (known === undefined) return { name, reachable: false, durable: null, applied: null, lacking_events: null };
    const { durable, applied } = known.status;
    return {
      ...{ name, reachable: true, durable: covers(durable, position), applied: covers(applied, position) },
      lacking_events: missing(position, applied),
    };
  };

  return {
    async find({ position, key, request_id: requestId }) {
      if (position !== undefined) return withRegions(requirePosition(position));
      if (key !== undefined) {
        const writes = await writesUnder(links, requireKey(key));
        const found = writes.map(({ origin, last }) => new Map([[origin, last]]));
        return withRegions(found.reduce<Position>(merge, new Map()), writes);
      }
      const known = recent.get(requestId ?? '');
      if (known === undefined) {
        throw new Refusal('unknown_event', 'this router knows no write of a request with that id', {
          hint: `a router knows the newest ${recentLimit} writes that it has accepted since its start; ask the other routers, or by key or position`,
        });
      }
      return withRegions(requirePosition(known));
    },
    accepted(requestId, position) {
      // The newest last.
      recent.delete(requestId);
      recent.set(requestId, position);
      if (recent.size <= recentLimit) return;
      const [oldest] = recent.keys();
      recent.delete(oldest!);
    },
  };
}

/** What all regions that answer know of it, each once, in the order of acceptance. */
async function writesUnder(links: RegionLinks, key: string): Promise<readonly TracedWrite[]> {
  const ids = writeRoutes.map((route) => keyIdOn(key, route));
  const asked = [...links.values()];
  const answers = await Promise.allSettled(asked.map((link) => link.keyRuns(ids)));
  const found = new Map<string, TracedWrite>();
  for (const answer of answers) {
    if (answer.status === 'rejected') continue;
    for (const [index, runs] of answer.value.entries()) {
      for (const run of runs) {
        const write = tracedWrite(writeRoutes[index]!, run);
        found.set(`${write.origin}:${write.first}`, write);
      }
    }
  }
  if (found.size > 0) return [...found.values()].sort((a, b) => (a.accepted_at < b.accepted_at ? -1 : 1));
  const silent = asked.flatMap(({ region }, index) => (answers[index]!.status === 'rejected' ? [region] : []));
  const hint = 'keys are known for seven days; a write that was answered 200 under the key would be known';
  throw unknown('no region that answers knows a write under that key', silent, hint);
}

/** `silent`: regions that may know it. */
function unknown(detail: string, silent: readonly string[], hint: string): Refusal {
  return new Refusal('unknown_event', detail, {
    hint: silent.length === 0 ? hint : `not reached: ${silent.join(', ')}; ask again`,
  });
}

type KeyRun = Awaited<ReturnType<RegionLink['keyRuns']>>[number][number];

function tracedWrite(route: WriteRoute, { origin, first, last, acceptedMs, isRetraction }: KeyRun): TracedWrite {
  return {
    ...{ route, origin, first, last, accepted_at: new Date(acceptedMs).toISOString() },
    ...(isRetraction ? { retraction: true } : {}),
  };
}

function requirePosition(text: string): Position {
  const position = parsePosition(text);
  if (position !== undefined && position.size > 0) return position;
  throw new Refusal('invalid_request', 'position must be a position token, as returned by writes and reads', {
    errors: [{ path: 'position', message: 'origin:sequence[,origin:sequence…]' }],
  });
}

function requireKey(text: string): string {
  return parseIdempotencyKey(text)!;
}
