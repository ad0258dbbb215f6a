/**
 * Contract of this folder; and partition drills: a partition is a flag on the region's own disk, set and healed over the control path. This part requests it,
 * counts the events that the two sides missed of each other, and waits until both have them. `drill-lease.ts` keeps the lease of drills that are files.
 */
import { Fault, Refusal } from '../../../shared/errors/errors.ts';
import { type Clock, sleep } from '../../../shared/kernel/kernel.ts';
import { HEAL_WAIT_LIMIT_MS } from '../../../shared/protocol/deadlines.ts';
import type { PartitionRequest } from '../../../shared/protocol/internal.ts';
import { covers, merge, missing, type Position } from '../../../shared/protocol/position.ts';
import { wasNotSent } from '../../../shared/region-client/region-client.ts';
import type { ReportedStatus } from '../../../shared/region-client/reported-status.ts';
import type { DrillInProgress, RegionsView } from '../cluster/cluster.ts';
import type { RegionLink, RegionLinks } from '../links/links.ts';

/** Pause before a region that did not answer a wait is asked again. */
const ASK_AGAIN_MS = 250;

/** The answer of `POST /cluster/partition`, as sent. */
export interface PartitionAnswer {
  readonly region: string;
  readonly partitioned: true;
  /** When the region heals by itself, RFC 3339, on its own clock. */
  readonly heal_at?: string;
}

/** The answer of `POST /cluster/heal`, as sent. */
export interface HealAnswer {
  readonly region: string;
  readonly partitioned: false;
  /** Events the region lacked of the others, and they of it, at the time of the heal; 0 if it was not partitioned. */
  readonly missed_events: number;
  /** With `wait`: the regions that have everything the healed one had, and vice versa. */
  readonly caught_up_with?: readonly string[];
  /** With `wait`: the regions that were not waited for, because they are partitioned themselves or do not answer. */
  readonly not_waited_for?: readonly string[];
  readonly took_ms?: number;
}

/** A lease of a drill that is not extended for this long ends. */
export const DRILL_EXPIRES_MS = 30_000;

export interface Drills {
  /** Idempotent. With `healAfterMs` the region heals itself after it; without, an earlier deadline is removed. */
  partition(region: string, healAfterMs?: number): Promise<PartitionAnswer>;
  /** Idempotent. With `wait`, answers once both sides have what the other had; `position_not_reached` after 30 s. */
  heal(region: string, wait?: boolean): Promise<HealAnswer>;
}

/** The answer of `POST /cluster/drill/stop`, as sent. */
export interface StopDrillAnswer {
  /** The drill whose lease has ended; null: there was none. */
  readonly ended: { readonly id: string; readonly title: string } | null;
  /** The regions that were partitioned. */
  readonly healed: readonly string[];
  /** The regions that do not answer: a partition of theirs ends at its deadline. */
  readonly not_reached: readonly string[];
}

/** One drill at a time a cluster: a lease in the control bucket, which the program that runs the drill extends. */
export interface DrillLease {
  /** Undefined: none, or the control bucket has not been readable since this process started. */
  current(): Promise<DrillInProgress | undefined>;
  /** Takes or extends it. Throws `drill_in_progress` if another has it, `drill_ended` if it was ended. */
  hold(drill: { readonly id: string; readonly title: string }): Promise<DrillInProgress>;
  /** Idempotent. The lease of another drill is left as it is. */
  end(id: string): Promise<void>;
  /** Heals all regions, then ends the lease, whichever drill has it. */
  stop(): Promise<StopDrillAnswer>;
}

export interface DrillsOptions {
  readonly links: RegionLinks;
  readonly regions: RegionsView;
  readonly clock: Clock;
}

/** One side of a heal: a region, and the position of the other side that it has to reach. */
interface Goal {
  readonly link: RegionLink;
  readonly position: Position;
}

export function createDrills({ links, regions, clock }: DrillsOptions): Drills {
  const setPartitioned = async (region: string, request: PartitionRequest): Promise<ReportedStatus> => {
    try {
      return await (links.get(region) as RegionLink).setPartitioned(request);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      if (wasNotSent(error)) throw unreachable(region, error.message);
      throw new Refusal('outcome_unknown', `${region} may or may not have been changed: ${error.message}`, {
        hint: 'ask again: doing it twice does no harm; /cluster/status shows whether it is partitioned',
      });
    }
  };

  /** Undefined once the goal is reached; otherwise the region's applied position at the time-out. */
  const reach = async ({ link, position }: Goal, endMs: number): Promise<Position | undefined> => {
    let applied: Position = new Map();
    for (;;) {
      const leftMs = Math.max(0, Math.ceil(endMs - clock.monotonicMs()));
      try {
        const reply = await link.await({ position, limitMs: leftMs });
        if (reply.reached) return undefined;
        applied = reply.applied;
      } catch (error) {
        // It may be restarting or busy: retried until the time-out.
        if (!(error instanceof Fault || (error instanceof Refusal && error.status === 503))) throw error;
      }
      if (clock.monotonicMs() + ASK_AGAIN_MS >= endMs) return applied;
      await sleep(clock, ASK_AGAIN_MS);
    }
  };

  const waitForBoth = async (healed: ReportedStatus, others: readonly string[]) => {
    const { region } = healed;
    const startMs = clock.monotonicMs();
    // Read after the switch: these positions include everything that either side had at the time of the heal.
    await Promise.all(others.map((name) => regions.ask(name)));
    const asked: string[] = [];
    let theirs: Position = new Map();
    for (const name of others) {
      const known = regions.known(name);
      if (known?.reachable !== true || known.status.partitioned) continue;
      asked.push(name);
      theirs = merge(theirs, known.status.durable);
    }
    const goals = [
      { link: links.get(region) as RegionLink, position: theirs },
      ...asked.map((name) => ({ link: links.get(name) as RegionLink, position: healed.durable })),
    ];
    const endMs = startMs + HEAL_WAIT_LIMIT_MS;
    const lacking = await Promise.all(
      goals.map(async (goal) => {
        const applied = await reach(goal, endMs);
        if (applied === undefined || covers(applied, goal.position)) return [];
        return [`${goal.link.region} lacks ${missing(goal.position, applied)} events`];
      }),
    );
    if (lacking.flat().length > 0) {
      throw new Refusal(
        'position_not_reached',
        `${region} is healed, but after ${HEAL_WAIT_LIMIT_MS / 1_000} s ${lacking.flat().join(', ')}`,
        { hint: 'catching up continues: poll /cluster/status until lag_events and ahead_events of every region are 0' },
      );
    }
    return {
      caught_up_with: asked,
      not_waited_for: others.filter((name) => !asked.includes(name)),
      took_ms: Math.round(clock.monotonicMs() - startMs),
    };
  };

  return {
    async partition(region, healAfterMs) {
      const { healAtMs } = await setPartitioned(region, {
        partitioned: true,
        ...(healAfterMs === undefined ? {} : { healAfterMs }),
      });
      await regions.ask(region);
      const healAt = healAtMs === undefined ? {} : { heal_at: new Date(healAtMs).toISOString() };
      return { region, partitioned: true, ...healAt };
    },
    async heal(region, wait = false) {
      const others = [...links.keys()].filter((name) => name !== region);
      const [own] = await Promise.all([regions.ask(region), ...others.map((name) => regions.ask(name))]);
      if (own === undefined) throw unreachable(region, 'it does not answer');
      let theirs: Position = new Map();
      for (const name of others) theirs = merge(theirs, regions.known(name)?.status.durable ?? new Map());
      const missed = own.status.partitioned
        ? missing(theirs, own.status.durable) + missing(own.status.durable, theirs)
        : 0;
      const healed = await setPartitioned(region, { partitioned: false });
      const waited = wait ? await waitForBoth(healed, others) : {};
      await regions.ask(region);
      return { region, partitioned: false, missed_events: missed, ...waited };
    },
  };
}

function unreachable(region: string, detail: string): Refusal {
  return new Refusal('region_unreachable', `${region} cannot be reached: ${detail}`, {
    hint: 'the partition is stored by the region itself; try again when it answers',
  });
}
