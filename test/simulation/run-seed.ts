/** One run: the plan of its seed, the faults, the healing, and the verdict. */

import type { DigestReply, RegionStatus } from '../../shared/protocol/internal.ts';
import { formatPosition, type Position, parsePosition, sequenceOf } from '../../shared/protocol/position.ts';
import { Chance } from './chance.ts';
import { Client, type Pace } from './clients.ts';
import { internalKeys } from './credentials.ts';
import { type FaultEvent, inOrder, planFaults } from './faults.ts';
import { beginWithOldOrigins } from './old-terms.ts';
import { stopTheLeader } from './planned-stop.ts';
import { counting, referenceDigest } from './reference.ts';
import { operate, strike } from './strike.ts';
import { planTheme } from './themes.ts';
import { Violation } from './violation.ts';
import { type Limits, routerNames, type Upkeep, World } from './world.ts';

/** After the last fault everything has converged within this. */
const CONVERGED_WITHIN_MS = 90_000;
/** After all regions of a cluster that was well have died at once it is well again within this. */
const RESTARTED_WITHIN_MS = 30_000;
const PROMOTED_WITHIN_MS = 15_000;
const LOOK_EVERY_MS = 1_500;
const COPY_EVERY_MS = 2_000;
/** Actions of one run; more is a loop that never waits. */
const STEPS_LIMIT = 400_000;

const KEEP_ALL = 1e9;

export interface Plan {
  readonly seed: string;
  readonly failover: 'manual' | 'automatic';
  readonly horizonMs: number;
  readonly clients: number;
  readonly pace: Pace;
  readonly upkeep: Upkeep;
  readonly limits: Limits;
  readonly faults: readonly FaultEvent[];
  /** Every region dies again when all is well, so that the state is judged as a start finds it. */
  readonly endsWithRestart: boolean;
}

export interface Run {
  readonly seed: string;
  readonly violation: Violation | undefined;
  readonly hash: string;
  readonly trace: readonly string[];
  readonly faults: readonly FaultEvent[];
  readonly virtualMs: number;
  readonly steps: number;
  readonly acknowledged: number;
  readonly events: number;
  /** Virtual ms from the last fault until all was well. */
  readonly healedMs: number;
  /** Real time of the longest turn of the event loop. */
  readonly longestTurnMs: number;
}

/** `theme`: the one it has, whatever the seed says. */
export function planOf(seed: string, theme?: string): Plan {
  const chance = new Chance(seed).fork('plan');
  const logRetentionBytes = chance.pick([KEEP_ALL, KEEP_ALL, 4_000, 0]);
  const horizonMs = Math.round(chance.between(5_000, 18_000));
  const failover = chance.chance(0.5) ? 'automatic' : 'manual';
  return {
    seed,
    failover,
    horizonMs,
    clients: 2 + chance.below(4),
    pace: {
      thinkMs: chance.between(60, 700),
      reads: chance.between(0.05, 0.3),
      keyed: chance.pick([0.1, 0.4, 0.9]),
      bulk: chance.between(0, 0.3),
      durabilityStream: chance.pick([0, 0.1, 0.3]),
      again: chance.pick([0.15, 0.5]),
      items: chance.pick([3, 12]),
      documents: chance.pick([3, 3, 15]),
    },
    upkeep: {
      checkpointEvents: chance.pick([10, 60, 1_000_000]),
      checkpointIntervalMs: chance.pick([1_000, 4_000, 60_000]),
      logRetentionBytes,
    },
    limits: {
      tidal_intake_waiting_events: chance.pick([1_000, 1_000, 8]),
      tidal_intake_waiting_bytes: 16 * 1024 * 1024,
      tidal_router_held_writes: chance.pick([2_000, 2_000, 2]),
    },
    faults: inOrder([
      ...planFaults(chance, horizonMs),
      ...planTheme(chance.fork('theme'), { horizonMs, failover }, theme),
    ]),
    endsWithRestart: chance.chance(0.5),
  };
}

export interface RunOptions {
  /** Instead of the seed's own. */
  readonly faults?: readonly FaultEvent[];
  /** Instead of the seed's own (`themes.ts`). */
  readonly theme?: string | undefined;
  /** Trace lines to keep. */
  readonly keep?: number;
}

export async function runSeed(seed: string, { faults, theme, keep = 0 }: RunOptions = {}): Promise<Run> {
  const plan = planOf(seed, theme);
  const { failover, upkeep, limits } = plan;
  const world = new World({ seed, failover, upkeep, limits, keep });
  const run = new Course(world, { ...plan, faults: faults ?? plan.faults });
  const onRejection = (error: unknown): void => {
    world.fail(new Violation('no unhandled rejection', error instanceof Error ? String(error.stack) : String(error)));
  };
  process.on('unhandledRejection', onRejection);
  try {
    return await run.run();
  } finally {
    process.off('unhandledRejection', onRejection);
  }
}

class Course {
  private readonly world: World;
  private readonly plan: Plan;
  private readonly digests = new Map<string, { readonly region: string; readonly digest: string }>();
  private looking = true;

  constructor(world: World, plan: Plan) {
    this.world = world;
    this.plan = plan;
  }

  async run(): Promise<Run> {
    const { world, plan } = this;
    const { scheduler } = world;
    const over = (): boolean => {
      for (const machine of world.machines) machine.checkLimits();
      return world.violation !== undefined || scheduler.steps > STEPS_LIMIT;
    };
    for (const fault of plan.faults) if (fault.kind === 'old origins') await beginWithOldOrigins(world, fault);
    world.start();
    for (let client = 1; client <= plan.clients; client++)
      new Client(world, `client-${client}`, plan.pace, plan.horizonMs);
    for (const fault of plan.faults) scheduler.at(fault.atMs, () => strike(world, fault));
    this.lookEvery();
    this.copyEvery();
    await scheduler.run(plan.horizonMs, over);
    let healedMs = 0;
    if (!over()) healedMs = await this.heal(over);
    if (scheduler.steps > STEPS_LIMIT) world.fail(new Violation('liveness', `${STEPS_LIMIT} steps and not over`));
    const run: Run = {
      seed: plan.seed,
      violation: world.violation,
      hash: world.trace.hash(),
      trace: world.trace.lines,
      faults: plan.faults,
      virtualMs: scheduler.nowMs,
      steps: scheduler.steps,
      acknowledged: world.promises.writes.filter(({ outcome }) => outcome === 'acknowledged').length,
      events: [...world.chronicle.origins.values()].reduce((sum, { events }) => sum + events.length, 0),
      healedMs,
      longestTurnMs: scheduler.longestTurnMs,
    };
    world.end();
    return run;
  }

  /** Ends every fault; answers how long everything took to be well again. */
  private async heal(over: () => boolean): Promise<number> {
    const { world } = this;
    const { scheduler, broker, network } = world;
    world.note('HEAL', 'every fault ends');
    const beganMs = scheduler.nowMs;
    world.healed = true;
    network.healAll();
    broker.landLate();
    if (!broker.up) void broker.restart();
    broker.resume();
    for (const region of world.regions) {
      region.second?.end();
      region.setFull(false);
      region.store.mend();
      region.flushMs = 3;
    }
    for (const machine of world.machines) {
      if (machine.clockOffsetMs !== 0) machine.clockOffsetMs = 0;
      machine.downUntilMs = 0;
      machine.life?.live();
      machine.life?.thaw();
      machine.start();
      broker.hear(machine.name);
      const client = machine.broker;
      if (client !== undefined) {
        client.publishFaults.length = 0;
        client.loseControlAnswer = false;
      }
    }
    const held = world.holdings.held();
    await scheduler.run(scheduler.nowMs + 3_000, over);
    const endMs = beganMs + CONVERGED_WITHIN_MS;
    let well: Position | undefined;
    let why = '';
    while (!over() && scheduler.nowMs < endMs && well === undefined) {
      await scheduler.run(scheduler.nowMs + 1_000, over);
      const found = await this.wellAt();
      if (typeof found !== 'string') well = found;
      else {
        why = found;
        for (const region of world.regions) {
          if (found === `${region.name} is partitioned`)
            void operate(world, 'router-1', '/cluster/heal', { region: region.name });
        }
      }
    }
    if (over()) return 0;
    if (well === undefined && world.disksRetired && why.includes('keys_forgotten')) {
      world.note('HEAL', `cannot be merged: ${why}`);
      return scheduler.nowMs - beganMs;
    }
    if (well === undefined && world.irreconcilable !== undefined) {
      world.note('HEAL', `cannot be merged: ${world.irreconcilable}`);
      return scheduler.nowMs - beganMs;
    }
    if (well === undefined) {
      world.fail(new Violation('liveness', `${CONVERGED_WITHIN_MS} ms after the last fault: ${why}`));
      return 0;
    }
    const healedMs = scheduler.nowMs - beganMs;
    world.note('HEAL', `well again at ${formatPosition(well)}`);
    await this.writeByEveryRouter(over);
    if (!over() && world.fullDiskHandsOver) await this.handOverOnFullDisk(over);
    if (!over() && world.leaderStops) await stopTheLeader(world, over);
    if (!over() && world.leaderStops) await this.wellWithin(RESTARTED_WITHIN_MS, 'the leader received SIGTERM', over);
    if (!over()) await scheduler.run(scheduler.nowMs + world.quietMs, over);
    if (!over() && (this.plan.endsWithRestart || world.quietMs > 0)) await this.restartAll(over);
    if (!over()) await this.judge(held);
    return healedMs;
  }

  /** The position of all regions when all is well, otherwise what is wrong. */
  private async wellAt(): Promise<Position | string> {
    const { world } = this;
    const all: RegionStatus[] = [];
    for (const { name } of world.regions) {
      const reply = await world.network.look(name, {
        method: 'GET',
        path: '/internal/status',
        headers: internalKeys.headers,
      });
      if (reply?.status !== 200) return `${name} does not serve`;
      all.push(JSON.parse(reply.body.toString()) as RegionStatus);
    }
    const [first] = all as [RegionStatus];
    const isolated = all.find((status) => status.partitioned);
    if (isolated !== undefined) return `${isolated.region} is partitioned`;
    for (const status of all) {
      if (!status.ready) return `${status.region} is not ready`;
      if (status.stopped !== undefined)
        return `${status.region} has stopped (${status.stopped.code}): ${status.stopped.detail}`;
      if (status.applied !== first.applied)
        return `${status.region} is at ${status.applied}, ${first.region} at ${first.applied}`;
      if (status.unshipped !== 0) return `${status.region} has ${status.unshipped ?? 'unknown'} events unshipped`;
      if (!status.streamConnected) return `${status.region} is not connected to the stream`;
      if (status.leadership?.nonce !== first.leadership?.nonce) return `${status.region} knows another record`;
      if (status.leadership?.handover !== undefined) return 'a handover is under way';
    }
    if (first.leadership === undefined) return 'no region leads';
    for (const router of world.routers) {
      const current = router.router?.leadership.current;
      if (current?.nonce !== first.leadership.nonce) return `${router.name} follows another record`;
    }
    return parsePosition(first.applied)!;
  }

  /** Who is healed takes writes: one by each router, and they reach every region. */
  private async writeByEveryRouter(over: () => boolean): Promise<void> {
    const { world } = this;
    const { scheduler } = world;
    const tokens: Position[] = [];
    const endMs = scheduler.nowMs + 20_000;
    const writeBy = (router: string): void => {
      const tag = world.nextTag();
      const write = {
        id: world.promises.writes.length,
        key: undefined,
        tags: [`signal ${tag}`],
        bodies: [{ kind: 'signal' as const, entity: 1, signal: 'view', weight: tag, timeMs: undefined }],
        outcome: 'open' as const,
        positions: [],
      };
      world.promises.add(write);
      const call = {
        method: 'POST' as const,
        path: '/signals',
        headers: { 'content-type': 'application/json', prefer: 'durability=stream' },
        body: JSON.stringify({ entity_id: 1, signal: 'view', weight: tag / 1_000 }),
        signal: new AbortController().signal,
      };
      const ask = (): Promise<void> =>
        world.network.call('last client', router, call, 1_000).then(
          async ({ statusCode, body }) => {
            const text = Buffer.from(await body.arrayBuffer()).toString();
            world.note('last client', `${router}: ${statusCode} ${text}`);
            // A router may learn slightly later than the regions that a handover is over; a refused client tries again.
            if (statusCode === 503 && scheduler.nowMs < endMs) {
              scheduler.after(500, () => void ask());
              return;
            }
            // A region that has not written since it ran twice finds out with this write, and ends: its outcome stays open.
            if (statusCode === 504 && world.regions.some(({ ranTwice }) => ranTwice) && scheduler.nowMs < endMs) {
              scheduler.after(500, () => writeBy(router));
              return;
            }
            world.check(() => {
              if (statusCode !== 200)
                throw new Violation('liveness', `the healed cluster answers ${statusCode} ${text}`);
              tokens.push(world.promises.acknowledged(write, (JSON.parse(text) as { position: string }).position));
            });
          },
          (error: unknown) => world.fail(new Violation('liveness', `${router} does not answer: ${String(error)}`)),
        );
      void ask();
    };
    for (const router of routerNames) writeBy(router);
    await scheduler.run(endMs, () => over() || tokens.length === routerNames.length);
    if (!over() && tokens.length < routerNames.length) {
      world.fail(new Violation('liveness', 'a write through a healed router has no answer'));
    }
    while (!over() && scheduler.nowMs < endMs) {
      await scheduler.run(scheduler.nowMs + 500, over);
      const found = await this.wellAt();
      if (typeof found !== 'string' && tokens.every((token) => [...token].every(([o, s]) => sequenceOf(found, o) >= s)))
        return;
    }
    if (!over()) world.fail(new Violation('liveness', 'a write to the healed cluster did not reach every region'));
  }

  /** The remedy that is documented for a leader whose disk is full: another region is promoted, and loses nothing. */
  private async handOverOnFullDisk(over: () => boolean): Promise<void> {
    const { world } = this;
    const { scheduler } = world;
    const leader = world.routers[0]?.router?.leadership.current?.leader;
    const full = world.regions.find(({ name }) => name === leader);
    const target = world.names.find((name) => name !== leader)!;
    if (full === undefined) return;
    world.note('FAULT', `the disk of ${full.name} is full`);
    full.setFull(true);
    await scheduler.run(scheduler.nowMs + 500, over);
    const answers: (number | undefined)[] = [];
    void operate(world, 'router-1', '/cluster/promote', { region: target }).then((status) => answers.push(status));
    await scheduler.run(scheduler.nowMs + PROMOTED_WITHIN_MS, () => over() || answers.length > 0);
    full.setFull(false);
    if (over()) return;
    if (answers[0] === 200) return this.writeByEveryRouter(over);
    const what = `${full.name} could not hand over to ${target}: ${answers[0] ?? 'no answer'}`;
    world.fail(new Violation('a leader with a full disk hands over', what));
  }

  private async restartAll(over: () => boolean): Promise<void> {
    const { world } = this;
    for (const region of world.regions) region.kill(0);
    await this.wellWithin(RESTARTED_WITHIN_MS, 'the last restart', over);
  }

  private async wellWithin(limitMs: number, after: string, over: () => boolean): Promise<void> {
    const { world } = this;
    const { scheduler } = world;
    const endMs = scheduler.nowMs + limitMs;
    let why = '';
    while (!over() && scheduler.nowMs < endMs) {
      await scheduler.run(scheduler.nowMs + 1_500, over);
      const found = await this.wellAt();
      if (typeof found !== 'string') return;
      why = found;
    }
    if (!over()) world.fail(new Violation('liveness', `${limitMs} ms after ${after}: ${why}`));
  }

  private async judge(held: Position): Promise<void> {
    const { world } = this;
    this.looking = false;
    await this.look();
    const final = await this.wellAt();
    world.check(() => {
      if (typeof final === 'string') throw new Violation('liveness', `after it was well: ${final}`);
      for (const [origin, sequence] of held) {
        if (sequenceOf(final, origin) >= sequence) continue;
        throw new Violation('every stored event reaches every region', `${origin}:${sequence} was held somewhere`);
      }
      const [any] =
        this.digests.get(formatPosition(final)) === undefined ? [] : [this.digests.get(formatPosition(final))!];
      if (any === undefined) throw new Violation('the checker itself', 'no digest at the final position');
      const reference = referenceDigest(world.chronicle, final, world.schema);
      if (any.digest !== reference) {
        throw new Violation(
          'state is a function of the position',
          `${any.region} has ${any.digest}, the union of logs gives ${reference}`,
        );
      }
      world.promises.check(final);
      world.promises.checkTakenBack(final, counting);
    });
  }

  /** Now and then every region's state is counted: one digest a position, in every region at any time. */
  private lookEvery(): void {
    const { scheduler } = this.world;
    scheduler.after(LOOK_EVERY_MS, () => {
      if (!this.looking) return;
      void this.look();
      this.lookEvery();
    });
  }

  private async look(): Promise<void> {
    const { world } = this;
    for (const { name } of world.regions) {
      const reply = await world.network.look(name, {
        method: 'GET',
        path: '/internal/digest',
        headers: internalKeys.headers,
      });
      // Another status: it is changing to another store.
      if (reply?.status !== 200) continue;
      const { position, digest } = JSON.parse(reply.body.toString()) as DigestReply;
      const known = this.digests.get(position);
      if (known === undefined) this.digests.set(position, { region: name, digest });
      else if (known.digest !== digest) {
        world.fail(
          new Violation(
            'one digest a position',
            `${name} has ${digest}, ${known.region} had ${known.digest} at ${position}`,
          ),
        );
      }
    }
  }

  private copyEvery(): void {
    const { scheduler, brokerCopies, broker, regions } = this.world;
    scheduler.after(COPY_EVERY_MS, () => {
      if (!this.looking) return;
      brokerCopies.push({ atMs: scheduler.nowMs, copy: broker.copy() });
      for (const region of regions) region.backups.push({ atMs: scheduler.nowMs, store: region.store.backup() });
      this.copyEvery();
    });
  }
}
