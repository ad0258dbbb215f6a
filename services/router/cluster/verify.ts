/**
 * Whether all regions have the same state: their digests compared at one position.
 *
 * Every region counts its state at a position (`POST /internal/digest-counts`). While writes continue, regions are never at one position
 * at one time, but they pass the same positions: with writes to one origin at a time, the usual case, every region passes every
 * batch's end. So they are asked to begin a little ahead of where they are, at the first position that covers a given one, and
 * the digests are compared if they began at the same. If not, because one of them had passed it when it was asked, they are
 * asked again, further ahead; if no write follows, at the present position. While two origins grow at once (two leaders of a split
 * brain) they interleave differently everywhere, and there may be no common position before one of them has ended.
 *
 * Promise: `true` only if all regions of the topology agree; `false` only if two digests at one position under one schema differ.
 * Everything else is null, with the reason.
 */
import { clip, messageOf } from '../../../shared/errors/errors.ts';
import { type Clock, type Random, randomName, sleep } from '../../../shared/kernel/kernel.ts';
import type { Log } from '../../../shared/observe/log.ts';
import type { Metrics } from '../../../shared/observe/metrics.ts';
import { VERIFY_PAUSE_MS } from '../../../shared/protocol/deadlines.ts';
import { formatPosition, merge, type Position, sequenceOf, totalOf } from '../../../shared/protocol/position.ts';
import type { DigestCount } from '../../../shared/region-client/region-client.ts';
import type { RegionView } from '../../../shared/region-client/status-poller.ts';
import type { RegionLink, RegionLinks } from '../links/links.ts';
import type { RegionsView, Verify, VerifyAnswer } from './cluster.ts';

/** How long the search for a common position lasts. */
const LOOK_MS = 5_000;
/** Limit of the whole comparison: counting a large state takes long. */
const LIMIT_MS = 30_000;
/** How far ahead counts begin, by the present rate of writes; twice as far each time that they began apart. */
const AHEAD_MS = 300;
/** Maximum characters of a position in a reason. */
const SHOWN_CHARACTERS = 400;

export interface VerifyOptions {
  readonly links: RegionLinks;
  readonly regions: RegionsView;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** The answers of one region so far. */
interface Said {
  readonly link: RegionLink;
  newest: DigestCount | undefined;
  /** Why the last request was not answered. */
  unresponsive: string | undefined;
}

/** What all regions together have applied, and when, monotonic ms. */
interface Sample {
  readonly position: Position;
  readonly atMs: number;
}

type Judgement = Omit<VerifyAnswer, 'took_ms'>;

export function createVerify({ links, regions, clock, random, log, metrics }: VerifyOptions): Verify {
  const outcomes = metrics.counter({
    name: 'tidal_router_verifications_total',
    help: 'Comparisons of the regions asked of this router, by outcome: converged, diverged or unknown.',
    labels: ['outcome'],
    series: [{ outcome: 'converged' }, { outcome: 'diverged' }, { outcome: 'unknown' }],
  });

  const ask = async (said: Said, id: string, covering: Position): Promise<void> => {
    try {
      said.newest = await said.link.countDigest({ id, covering });
      said.unresponsive = undefined;
    } catch (error) {
      said.unresponsive = messageOf(error);
    }
  };
  const known = (): RegionView[] => [...links.keys()].flatMap((name) => regions.known(name) ?? []);

  const judge = async (): Promise<Judgement> => {
    const before = known();
    await Promise.all([...links.keys()].map((name) => regions.ask(name)));
    const leftOut: string[] = [];
    const all: Said[] = [];
    for (const link of links.values()) {
      const view = regions.known(link.region);
      if (view?.reachable !== true) leftOut.push(`${link.region} does not answer`);
      else if (view.status.partitioned) leftOut.push(`${link.region} is partitioned`);
      else all.push({ link, newest: undefined, unresponsive: undefined });
    }
    if (all.length === 0) return unknown(leftOut);
    const startMs = clock.monotonicMs();
    const id = randomName(random, 16);
    let sample = sampleOf(known());
    let aheadMs = AHEAD_MS;
    let covering = ahead(before.length === links.size ? sampleOf(before) : sample, sample, aheadMs);
    let chosenMs = startMs;
    for (;;) {
      await Promise.all(all.map((said) => ask(said, id, covering)));
      const nowMs = clock.monotonicMs();
      const positions = new Set(all.map(({ newest }) => newest?.position));
      const isCommon = positions.size === 1 && !positions.has(undefined);
      if (isCommon && all.every(({ newest }) => newest?.digest !== undefined)) return compare(all, leftOut);
      if (nowMs - startMs >= (isCommon ? LIMIT_MS : LOOK_MS)) return unknown([...leftOut, ...whyNone(all, isCommon)]);
      const former = sample;
      sample = {
        position: all.reduce((position, { newest }) => merge(position, newest?.applied ?? new Map()), sample.position),
        atMs: nowMs,
      };
      const isQuiet = totalOf(sample.position) === totalOf(former.position);
      const beganApart = !isCommon && !positions.has(undefined);
      const isTooFar = positions.size === 1 && nowMs - chosenMs >= 3 * aheadMs;
      if (!isCommon && (isQuiet || beganApart || isTooFar)) {
        if (beganApart) aheadMs *= 2;
        covering = ahead(former, sample, aheadMs);
        chosenMs = nowMs;
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

/** Of regions that were asked at about the same time. */
function sampleOf(views: readonly RegionView[]): Sample {
  return {
    position: views.reduce((position, { status }) => merge(position, status.applied), new Map<string, number>()),
    atMs: Math.max(0, ...views.map(({ atMs }) => atMs)),
  };
}

/** The position that will be reached `aheadMs` after `now`, if every origin continues to grow as since `before`. */
function ahead(before: Sample, now: Sample, aheadMs: number): Position {
  const times = now.atMs > before.atMs ? aheadMs / (now.atMs - before.atMs) : 0;
  return new Map(
    [...now.position].map(([origin, sequence]) => {
      const grown = sequence - sequenceOf(before.position, origin);
      return [origin, sequence + Math.ceil(grown * times)];
    }),
  );
}

function compare(all: readonly Said[], leftOut: readonly string[]): Judgement {
  const position = all[0]!.newest!.position!;
  const digests = Object.fromEntries(all.map(({ link, newest }) => [link.region, newest!.digest!]));
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

function whyNone(all: readonly Said[], isCommon: boolean): string[] {
  const reasons: string[] = [];
  for (const { link, newest, unresponsive } of all) {
    if (unresponsive !== undefined) reasons.push(`${link.region} does not answer: ${unresponsive}`);
    else if (isCommon && newest?.digest === undefined) reasons.push(`${link.region} is still counting its state`);
  }
  if (reasons.length > 0) return reasons;
  const stand = all.map(({ link, newest }) => `${link.region} at ${shortened(newest?.applied ?? new Map())}`);
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
