/**
 * The nemesis: a cluster of real processes with wires that fail, clients that write all the time, and faults of every kind at
 * once, drawn from a seed. Then all faults are healed, the cluster must converge by itself within a bound, and every checker
 * must find nothing.
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { makeDirectory } from '../../shared/config/make-directory.ts';
import { Watch } from '../checkers/watch.ts';
import { checkWholeCluster } from '../checkers/whole-cluster.ts';
import { requestJson } from '../harness/clients/request-json.ts';
import { Workload } from '../harness/clients/workload.ts';
import { eventually } from '../harness/kernel/eventually.ts';
import { drawOne, seededRandom } from '../harness/kernel/seeded-random.ts';
import { NATS } from '../harness/network/network.ts';
import { Cluster, defaultRegions } from '../harness/processes/cluster.ts';
import { smallDiskObstacle } from '../harness/processes/small-disk.ts';
import { Intruder } from './intruder.ts';
import { describeFault, drawPlan, type Fault, type FaultName, type PlannedFault, resourcesOf } from './plan.ts';
import type { NemesisReport } from './report.ts';

/** From the last heal until everything must be well. */
const CONVERGE_LIMIT_MS = 90_000;
const WRITERS = 12;
const WRITES_PER_SECOND = 100;
/** Keyed writes that are sent again in the end. */
const SENT_AGAIN = 300;
/** What fills a disk that is nearly full, besides the writers. */
const LARGE_ITEMS = 12;
const LARGE_ITEM_CHARACTERS = 200_000;
/** Its entities are not those of the writers. */
const LARGE_ITEM_ENTITY = 1_000;
const steppedClocks = {
  region: 'test/harness/kernel/stepped-clock-region.js',
  router: 'test/harness/kernel/stepped-clock-router.js',
};

export interface NemesisOptions {
  readonly seed: number;
  readonly minutes: number;
  /** Absent: all. */
  readonly faults?: readonly FaultName[];
  /** A line now and then. */
  readonly say?: (line: string) => void;
  /** Every event, when it happens. */
  readonly onEvent?: (line: string) => void;
}

/** Throws with the seed and the trace of events when anything is not as promised. */
export async function runNemesis(options: NemesisOptions): Promise<NemesisReport> {
  const run = await Run.start(options);
  try {
    return await run.through(options.minutes * 60_000);
  } catch (error) {
    throw new Error(run.describeFailure(error), { cause: error });
  } finally {
    await run.end();
  }
}

interface Surroundings {
  readonly cluster: Cluster;
  /** Where the files lie that say how wrong each clock is. */
  readonly clocks: string;
  /** Regions whose disk can be full. */
  readonly disks: readonly string[];
  readonly intruder: Intruder;
}

class Run {
  private readonly seed: number;
  private readonly faults: readonly FaultName[] | undefined;
  private readonly say: (line: string) => void;
  private readonly onEvent: (line: string) => void;
  private readonly cluster: Cluster;
  private readonly clocks: string;
  private readonly load: Workload;
  private readonly watch: Watch;
  private readonly intruder: Intruder;
  private readonly random;
  private readonly trace: string[] = [];
  private readonly counts = new Map<string, number>();
  private readonly busy = new Set<string>();
  private readonly startedMs = performance.now();
  private readonly ending = new AbortController();
  private running: readonly Promise<void>[] = [];
  private hasBackup = false;
  private readonly disks: readonly string[];
  /** The first thing that went wrong in a fault itself: a process that does not start again. */
  private broken: unknown;

  private constructor(options: NemesisOptions, { cluster, clocks, disks, intruder }: Surroundings) {
    const { seed } = options;
    this.seed = seed;
    this.faults = options.faults;
    this.disks = disks;
    this.intruder = intruder;
    this.say = options.say ?? (() => {});
    this.onEvent = options.onEvent ?? (() => {});
    this.cluster = cluster;
    this.clocks = clocks;
    this.random = seededRandom(seed * 2 + 1);
    this.watch = new Watch(cluster);
    this.load = new Workload({
      urls: cluster.routerUrls,
      writers: WRITERS,
      perSecond: WRITES_PER_SECOND,
      keyed: WRITERS / 2,
    });
  }

  static async start(options: NemesisOptions): Promise<Run> {
    const { seed } = options;
    const clocks = mkdtempSync(join(tmpdir(), 'tidal-clocks-'));
    const stepped = (main: string, names: readonly string[]) =>
      names.map((name) => [name, { main, env: { TIDAL_TEST_CLOCK_FILE: join(clocks, name) } }] as const);
    // The last one has a disk as it is on this machine.
    const disks = smallDiskObstacle === undefined ? defaultRegions.slice(0, -1) : [];
    if (smallDiskObstacle !== undefined) options.say?.(`SKIPPED: ${smallDiskObstacle}`);
    const cluster = await Cluster.start({
      routers: 2,
      wires: { seed },
      topology: seed % 2 === 0 ? [] : ['failover: automatic'],
      mains: Object.fromEntries([
        ...stepped(steppedClocks.region, defaultRegions),
        ...stepped(steppedClocks.router, ['router', 'router-2']),
      ]),
      smallDisks: disks,
    });
    return new Run(options, { cluster, clocks, disks, intruder: await Intruder.enter(cluster) });
  }

  async through(lengthMs: number): Promise<NemesisReport> {
    const { cluster, load } = this;
    await load.flows();
    const plan = drawPlan({
      seed: this.seed,
      lengthMs,
      regions: cluster.regionNames,
      routers: cluster.routerNames,
      wires: cluster.network.names,
      disks: this.disks,
      ...(this.faults === undefined ? {} : { faults: this.faults }),
    });
    await this.carryOut(plan);
    const healedMs = performance.now();
    await this.healAll();
    await load.flows(50, CONVERGE_LIMIT_MS);
    await load.stop();
    const sentAgain = await load.sendAgain(SENT_AGAIN);
    const { accepting, events } = await checkWholeCluster(cluster, load.told, CONVERGE_LIMIT_MS);
    const convergedMs = performance.now() - healedMs;
    await this.verify();
    await this.watch.stop();
    this.lookForTheDead();
    if (this.broken !== undefined) throw this.broken;
    this.checkGarbageWasSeen();
    const { messages, records, requests } = this.intruder;
    return {
      seed: this.seed,
      faults: this.counts,
      acknowledged: load.count,
      repeated: load.repeated,
      unknown: [...load.told.unknown.values()].reduce((sum, count) => sum + count, 0),
      failures: load.failures,
      epochs: accepting.size,
      convergedMs,
      garbage: { messages, records, requests },
      checks: { places: load.told.acknowledgements.length, events, sentAgain, looks: this.watch.looks },
    };
  }

  describeFailure(error: unknown): string {
    const folder = mkdtempSync(join(tmpdir(), `tidal-nemesis-${this.seed}-`));
    makeDirectory(folder);
    for (const [name, service] of this.cluster.processes) {
      writeFileSync(join(folder, `${name}.log`), `${service.lines.join('\n')}\n`);
    }
    writeFileSync(join(folder, 'trace.log'), `${this.trace.join('\n')}\n`);
    const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const cause = error instanceof Error && error.cause !== undefined ? `\ncause: ${String(error.cause)}` : '';
    return `the nemesis won with seed ${this.seed}; logs of all processes in ${folder}\n${reason}${cause}\n\nwhat happened:\n${this.trace.join('\n')}`;
  }

  async end(): Promise<void> {
    // Clients that are never answered are not waited for.
    void this.load.stop();
    this.ending.abort();
    await Promise.all(this.running);
    await this.intruder.leave();
    this.cluster.nats.resume();
    for (const service of this.cluster.processes.values()) service.signal('SIGCONT');
    await this.cluster.stop();
    rmSync(this.clocks, { recursive: true, force: true });
  }

  private note(line: string): void {
    const at = ((performance.now() - this.startedMs) / 1_000).toFixed(2).padStart(8);
    this.trace.push(`${at}  ${line}`);
    this.onEvent(`${at}  ${line}`);
  }

  private async carryOut(plan: readonly PlannedFault[]): Promise<void> {
    const startMs = performance.now();
    let saidMs = startMs;
    for (const planned of plan) {
      const leftMs = planned.atMs - (performance.now() - startMs);
      if (leftMs > 0) await pause(leftMs);
      this.lookForTheDead();
      if (this.broken !== undefined) throw this.broken;
      this.running = [...this.running, this.inflict(planned)];
      if (performance.now() - saidMs < 10_000) continue;
      saidMs = performance.now();
      const total = [...this.counts.values()].reduce((sum, count) => sum + count, 0);
      this.say(`${Math.round((saidMs - startMs) / 1_000)} s: ${total} faults, ${this.load.count} writes acknowledged`);
    }
    await Promise.all(this.running);
    this.lookForTheDead();
    if (this.broken !== undefined) throw this.broken;
  }

  /** A process that was not killed must not have ended. */
  private lookForTheDead(): void {
    for (const { ownEnds } of this.cluster.processes.values()) {
      if (ownEnds.length > 0) this.broken ??= new Error(ownEnds.join('\n'));
    }
  }

  private async inflict(planned: PlannedFault): Promise<void> {
    const { fault } = planned;
    const { processes } = this.cluster;
    const resources = resourcesOf(fault, [...processes.keys()]);
    if (resources.some((name) => this.busy.has(name)) || (fault.kind === 'restore nats' && !this.hasBackup)) return;
    for (const name of resources) this.busy.add(name);
    this.counts.set(fault.kind, (this.counts.get(fault.kind) ?? 0) + 1);
    this.note(describeFault(planned));
    try {
      const over = await this.begin(fault);
      if (over !== undefined) {
        await pause(planned.forMs, undefined, { signal: this.ending.signal });
        await over();
        this.note(`over: ${describeFault(planned)}`);
      }
    } catch (error) {
      this.broken ??= error;
      this.note(`failed: ${describeFault(planned)}: ${String(error)}`);
    } finally {
      for (const name of resources) this.busy.delete(name);
    }
  }

  /** Answers how it ends; undefined: it is over at once. */
  private async begin(fault: Fault): Promise<(() => unknown) | undefined> {
    const { cluster } = this;
    const { nats, network, processes } = cluster;
    switch (fault.kind) {
      case 'kill': {
        if (fault.process === NATS) return nats.kill().then(() => () => nats.restart());
        await cluster.kill(fault.process);
        return () => this.restart(fault.process);
      }
      case 'stand still': {
        if (fault.process === NATS) {
          nats.pause();
          return () => nats.resume();
        }
        cluster.process(fault.process).signal('SIGSTOP');
        return () => cluster.process(fault.process).signal('SIGCONT');
      }
      case 'kill all':
        await Promise.all([nats.kill(), ...[...processes.keys()].map((name) => cluster.kill(name))]);
        return () => Promise.all([nats.restart(), ...[...processes.keys()].map((name) => this.restart(name))]);
      case 'wipe nats':
        await nats.kill();
        return () => nats.restart({ wiped: true });
      case 'back up nats':
        await nats.backUp();
        this.hasBackup = true;
        return undefined;
      case 'restore nats':
        await nats.kill();
        return () => nats.restoreBackup();
      case 'cut':
        await Promise.all(fault.wires.map((wire) => network.named(wire).cut()));
        return () => this.healWires(fault.wires);
      case 'black hole':
      case 'black hole there':
      case 'black hole back': {
        const directions = {
          'black hole': ['there', 'back'],
          'black hole there': ['there'],
          'black hole back': ['back'],
        } as const;
        for (const wire of fault.wires) network.named(wire).pause(directions[fault.kind]);
        return () => this.healWires(fault.wires);
      }
      case 'delay':
        for (const wire of fault.wires) {
          network.named(wire).delay({ probability: 0.3, leastMs: 10, mostMs: fault.mostMs });
        }
        return () => this.healWires(fault.wires);
      case 'drill':
        await this.ask('/cluster/partition', { region: fault.region });
        return () => this.ask('/cluster/heal', { region: fault.region });
      case 'promote':
      case 'force':
        await this.ask('/cluster/promote', { region: fault.region, force: fault.kind === 'force' });
        return undefined;
      case 'clock':
        this.setClock(fault.process, fault.offMs);
        return () => this.setClock(fault.process, 0);
      case 'full disk':
        cluster.disk(fault.region).leave(fault.freeBytes);
        this.running = [...this.running, this.writeLargeItems(fault.region)];
        return () => cluster.disk(fault.region).makeRoom();
      case 'stream garbage': {
        const position = this.load.told.acknowledgements.at(-1)?.position;
        const taken = await this.intruder.publish(seededRandom(fault.seed), fault.count, position);
        this.note(`the stream took ${taken} messages of garbage about ${position}`);
        return undefined;
      }
      case 'key garbage':
        this.note(`the key took ${await this.intruder.overwriteKey(seededRandom(fault.seed), fault.count)} values`);
        return undefined;
      case 'request garbage': {
        const answered = await this.intruder.request(seededRandom(fault.seed), fault.count, fault.region);
        this.note(`${fault.region} refused ${answered} requests`);
        return undefined;
      }
    }
  }

  private async healWires(wires: readonly string[]): Promise<void> {
    await Promise.all(wires.map((wire) => this.cluster.network.named(wire).heal()));
  }

  private setClock(name: string, offMs: number): void {
    writeFileSync(join(this.clocks, name), String(offMs));
    const service = this.cluster.process(name);
    // One that starts has not said what the signal means yet: `restart` makes up for it.
    if (service.serving) service.signal('SIGUSR2');
  }

  private async restart(name: string): Promise<void> {
    await this.cluster.restart(name);
    // Its clock may have been set while it started.
    this.cluster.process(name).signal('SIGUSR2');
  }

  /** Until the disk of the accepting region is full. They count in no sum; only their positions are checked. */
  private async writeLargeItems(region: string): Promise<void> {
    const metadata = { note: 'x'.repeat(LARGE_ITEM_CHARACTERS) };
    const names = [...this.cluster.regionNames];
    const entity = LARGE_ITEM_ENTITY + names.indexOf(region);
    const full = `disk of ${region}`;
    for (let left = LARGE_ITEMS; left > 0 && this.busy.has(full) && !this.ending.signal.aborted; left--) {
      const url = drawOne(this.random, this.cluster.routerUrls);
      const answer = await requestJson<Record<string, unknown>>(`${url}/items`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ entity_id: entity, metadata }),
      }).catch(() => undefined);
      if (answer?.status === 200) this.load.told.acknowledgePlace(entity, answer.body);
      if (answer?.status === 507) return this.note(`a large item is refused: ${String(answer.body.detail)}`);
    }
  }

  private async verify(): Promise<void> {
    await eventually(
      'all regions have one state',
      async () => {
        const { body } = await this.cluster.post('/cluster/verify', {});
        if (body.converged === false) throw new Error(JSON.stringify(body));
        return body.converged === true;
      },
      CONVERGE_LIMIT_MS,
    );
    await this.cluster.settled(CONVERGE_LIMIT_MS);
  }

  /** What was refused was named: a run that is long enough has been asked in time. */
  private checkGarbageWasSeen(): void {
    const { messages, records } = this.intruder;
    const { refusedMessages, refusedRecords } = this.watch;
    if (messages >= 20 && refusedMessages.size === 0) throw new Error('no region has named a refused message');
    if (records >= 20 && refusedRecords.size === 0) throw new Error('no region has named a refused leadership record');
  }

  /** An operator's request through one of the routers, whatever its outcome. */
  private async ask(path: string, body: object): Promise<void> {
    const url = drawOne(this.random, this.cluster.routerUrls);
    try {
      const { status, body: answer } = await requestJson<Record<string, unknown>>(url + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
      this.note(`${path} ${JSON.stringify(body)}: ${status} ${String(answer.code ?? JSON.stringify(answer))}`);
    } catch (error) {
      this.note(`${path} ${JSON.stringify(body)}: no answer (${String((error as Error).cause ?? error)})`);
    }
  }

  /** Everything that is still broken is repaired: wires, processes, clocks, drills. */
  private async healAll(): Promise<void> {
    const { cluster } = this;
    this.note('all faults are healed');
    this.say('all faults are healed');
    await cluster.network.heal();
    for (const name of cluster.processes.keys()) this.setClock(name, 0);
    for (const region of this.disks) cluster.disk(region).makeRoom();
    for (const region of cluster.regionNames) {
      await eventually(
        `${region} is healed`,
        async () => (await cluster.post('/cluster/heal', { region })).status === 200,
        CONVERGE_LIMIT_MS,
      );
    }
  }
}
