/**
 * Whether all regions have the same state: their digests compared at one position.
 *
 * From the first request on each region records the digest at every position it passes (`GET /internal/kept-digests`). While writes
 * continue the regions are polled, and their records collected, until there is a position that all of them passed and that covers
 * everything any of them had at the request; the newest one counts. With writes to one origin at a time, the usual case, every
 * region passes every batch's end. A position is represented by its difference to the requested one, which is short whatever the
 * number of origins. While two origins grow at once (two leaders of a split brain) they interleave differently everywhere, and
 * there may be no common position before one of them has ended.
 *
 * Promise: `true` only if all regions of the topology agree; `false` only if two digests at one position under one schema differ.
 * Everything else is null, with the reason.
 */
import { clip, messageOf } from '../../../shared/errors/errors.ts';
import { type Clock, sleep } from '../../../shared/kernel/kernel.ts';
import type { Log } from '../../../shared/observe/log.ts';
import type { Metrics } from '../../../shared/observe/metrics.ts';
import { VERIFY_PAUSE_MS } from '../../../shared/protocol/deadlines.ts';
import {
  covers,
  formatPosition,
  merge,
  type Position,
  sequenceOf,
  totalOf,
} from '../../../shared/protocol/position.ts';
import type { Digests } from '../../../shared/region-client/region-client.ts';
import type { RegionLink, RegionLinks } from '../links/links.ts';
import type { RegionsView, Verify, VerifyAnswer } from './cluster.ts';

/** How long the search for a common position lasts, once all regions have counted. */
const LOOK_MS = 5_000;
/** Limit of the whole comparison: counting a large state for the first time takes long. */
const LIMIT_MS = 30_000;
/** Maximum characters of a position in a reason. */
const SHOWN_CHARACTERS = 400;

export interface VerifyOptions {
  readonly links: RegionLinks;
  readonly regions: RegionsView;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** A digest, and the difference of its position to the requested one. */
interface Noted {
  readonly digest: string;
  readonly beyond: Position;
}

/** The answers of one region so far. */
interface Said {
  readonly link: RegionLink;
  /** By the difference to the requested position, as a token; only positions that cover it. */
  readonly digests: Map<string, Noted>;
  newest: Digests | undefined;
  /** Why the last request was not answered. */
  unresponsive: string | undefined;
}

type Judgement = Omit<VerifyAnswer, 'took_ms'>;

export function createVerify({ links, regions, clock, log, metrics }: VerifyOptions): Verify {
  const outcomes = metrics.counter({
    name: 'tidal_router_verifications_total',
    help: 'Comparisons of the regions asked of this router, by outcome: converged, diverged or unknown.',
    labels: ['outcome'],
  });

  const ask = async (said: Said, asked: Position): Promise<void> => {
    try {
      said.newest = await said.link.digests();
      said.unresponsive = undefined;
      collect(said.digests, said.newest, asked);
    } catch (error) {
      said.unresponsive = messageOf(error);
    }
  };

  const judge = async (): Promise<Judgement> => {
    await Promise.all([...links.keys()].map((name) => regions.ask(name)));
    const leftOut: string[] = [];
    const all: Said[] = [];
    let asked: Position = new Map();
    for (const link of links.values()) {
      const known = regions.known(link.region);
      if (known?.reachable !== true) leftOut.push(`${link.region} does not answer`);
      else if (known.status.partitioned) leftOut.push(`${link.region} is partitioned`);
      else {
        all.push({ link, digests: new Map(), newest: undefined, unresponsive: undefined });
        asked = merge(asked, known.status.applied);
      }
    }
    if (all.length === 0) return unknown(leftOut);
    const startMs = clock.monotonicMs();
    let countedMs: number | undefined;
    for (;;) {
      await Promise.all(all.map((said) => ask(said, asked)));
      const beyond = newestCommon(all);
      if (beyond !== undefined) return compare(all, { asked, beyond }, leftOut);
      const nowMs = clock.monotonicMs();
      if (all.every(({ newest }) => newest?.counting === false)) countedMs ??= nowMs;
      if (nowMs - startMs >= LIMIT_MS || nowMs - (countedMs ?? nowMs) >= LOOK_MS) {
        return unknown([...leftOut, ...whyNone(all)]);
      }
      await sleep(clock, VERIFY_PAUSE_MS);
    }
  };

  return async () => {
    const startMs = clock.monotonicMs();
    const judgement = await judge();
    const { converged, position, digests, reason } = judgement;
    outcomes.inc({ outcome: converged === null ? 'unknown' : converged ? 'converged' : 'diverged' });
    if (converged === false) log.error('regions differ at the same position', { position, digests, detail: reason });
    return { ...judgement, took_ms: Math.round(clock.monotonicMs() - startMs) };
  };
}

/** Adds the reply's digests at positions that cover `asked`. */
function collect(digests: Map<string, Noted>, { kept, former = [] }: Digests, asked: Position): void {
  let beyond: Map<string, number> | undefined;
  const note = (digest: string, beyondAsked: Position): void => {
    digests.set(formatPosition(beyondAsked), { digest, beyond: new Map(beyondAsked) });
  };
  for (const { position, digest } of kept) {
    beyond = covers(position, asked)
      ? new Map([...position].filter(([origin, sequence]) => sequence > sequenceOf(asked, origin)))
      : undefined;
    if (beyond !== undefined) note(digest, beyond);
  }
  for (const { origin, sequence, digest } of former) {
    // Positions before one that does not cover it do not either.
    if (beyond === undefined || sequence < sequenceOf(asked, origin)) return;
    if (sequence === sequenceOf(asked, origin)) beyond.delete(origin);
    else beyond.set(origin, sequence);
    note(digest, beyond);
  }
}

/** The newest position that all have recorded, as its difference to `asked`. */
function newestCommon(all: readonly Said[]): Position | undefined {
  const [first, ...others] = all as [Said, ...Said[]];
  let newest: Position | undefined;
  for (const [token, { beyond }] of first.digests) {
    if (!others.every(({ digests }) => digests.has(token))) continue;
    if (newest === undefined || totalOf(beyond) > totalOf(newest)) newest = beyond;
  }
  return newest;
}

function compare(
  all: readonly Said[],
  { asked, beyond }: { readonly asked: Position; readonly beyond: Position },
  leftOut: readonly string[],
): Judgement {
  const position = formatPosition(merge(asked, beyond));
  const token = formatPosition(beyond);
  const digests = Object.fromEntries(all.map((said) => [said.link.region, said.digests.get(token)!.digest]));
  const schemas = new Set(all.map(({ newest }) => newest?.schemaHash));
  const sets = new Set(all.map(({ newest }) => newest?.quarantined ?? ''));
  if (sets.size > 1) {
    const stand = all.map(({ link, newest }) => `${link.region}: ${newest?.quarantined || 'nothing'}`).join('; ');
    const reason = `the regions have not set aside the same events, so their states need not be the same (${stand})`;
    return { converged: null, position, digests, reason };
  }
  if (schemas.size > 1) {
    const reason = 'the regions run different schemas, under which digests are not compared';
    return { converged: null, position, digests, reason };
  }
  if (new Set(Object.values(digests)).size > 1) {
    const reason = 'digests differ at one position: keep the logs of all regions, and see docs/runbook.md';
    return { converged: false, position, digests, reason };
  }
  if (leftOut.length === 0) return { converged: true, position, digests };
  return { converged: null, position, digests, reason: `not all regions were compared: ${leftOut.join(', ')}` };
}

function whyNone(all: readonly Said[]): string[] {
  const reasons: string[] = [];
  for (const { link, newest, unresponsive } of all) {
    if (unresponsive !== undefined) reasons.push(`${link.region} does not answer: ${unresponsive}`);
    else if (newest?.counting !== false) reasons.push(`${link.region} is still counting its state`);
  }
  if (reasons.length > 0) return reasons;
  const stand = all.map(({ link, newest }) => `${link.region} at ${shortened(newest?.kept[0]?.position ?? new Map())}`);
  return [`the regions passed no position in common within ${LOOK_MS / 1_000} s (${stand.join('; ')})`];
}

/** Truncated for a sentence: a position may have thousands of entries. */
function shortened(position: Position): string {
  const token = formatPosition(position);
  return token === '' ? 'the beginning' : clip(token, SHOWN_CHARACTERS);
}

function unknown(reasons: readonly string[]): Judgement {
  return { converged: null, position: null, digests: {}, reason: reasons.join(', ') };
}
