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
import { Cluster, defaultRegions } from '../harness/cluster.ts';
import { eventually } from '../harness/eventually.ts';
import { NATS } from '../harness/network.ts';
import { requestJson } from '../harness/request-json.ts';
import { drawOne, seededRandom } from '../harness/seeded-random.ts';
import { Workload } from '../harness/workload.ts';
import { describeFault, drawPlan, type Fault, type PlannedFault, resourcesOf } from './plan.ts';

/** From the last heal until everything must be well. */
const CONVERGE_LIMIT_MS = 90_000;
const WRITERS = 12;
const WRITES_PER_SECOND = 100;

export interface NemesisOptions {
  readonly seed: number;
  readonly minutes: number;
  /** A line now and then. */
  readonly say?: (line: string) => void;
  /** Every event, when it happens. */
  readonly onEvent?: (line: string) => void;
}

export interface NemesisReport {
  readonly seed: number;
  readonly faults: ReadonlyMap<string, number>;
  readonly acknowledged: number;
  /** Keyed writes that were sent more than once. */
  readonly repeated: number;
  /** Unkeyed writes whose outcome nobody was told. */
  readonly unknown: number;
  /** Answers other than 200, and missing ones, by status and code. */
  readonly failures: ReadonlyMap<string, number>;
  /** In which writes were accepted. */
  readonly epochs: number;
  readonly convergedMs: number;
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

export function describeReport(report: NemesisReport): string {
  const total = [...report.faults.values()].reduce((sum, count) => sum + count, 0);
  const named = (counts: ReadonlyMap<string, number>): string =>
    [...counts]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([kind, count]) => `${kind} ${count}`)
      .join(', ');
  return [
    `seed ${report.seed}: ${total} faults (${named(report.faults)})`,
    `${report.acknowledged} writes acknowledged, ${report.repeated} of them sent more than once under their key, ` +
      `${report.unknown} of unknown outcome; ${report.epochs} epochs accepted writes`,
    `other answers: ${named(report.failures) || 'none'}`,
    `converged ${(report.convergedMs / 1_000).toFixed(1)} s after the last heal; nothing lost, nothing doubled`,
  ].join('\n');
}

class Run {
  private readonly seed: number;
  private readonly say: (line: string) => void;
  private readonly onEvent: (line: string) => void;
  private readonly cluster: Cluster;
  private readonly clocks: string;
  private readonly load: Workload;
  private readonly watch: Watch;
  private readonly random;
  private readonly trace: string[] = [];
  private readonly counts = new Map<string, number>();
  private readonly busy = new Set<string>();
  private readonly startedMs = performance.now();
  private readonly ending = new AbortController();
  private running: readonly Promise<void>[] = [];
  private hasBackup = false;
  /** The first thing that went wrong in a fault itself: a process that does not start again. */
  private broken: unknown;

  private constructor(options: NemesisOptions, cluster: Cluster, clocks: string) {
    const { seed } = options;
    this.seed = seed;
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
    const main = 'test/harness/stepped-clock-region.js';
    const mains = defaultRegions.map((name) => [name, { main, env: { TIDAL_TEST_CLOCK_FILE: join(clocks, name) } }]);
    const cluster = await Cluster.start({
      routers: 2,
      wires: { seed },
      topology: seed % 2 === 0 ? [] : ['failover: automatic'],
      mains: Object.fromEntries(mains),
    });
    return new Run(options, cluster, clocks);
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
    });
    await this.carryOut(plan);
    const healedMs = performance.now();
    await this.healAll();
    await load.flows(50, CONVERGE_LIMIT_MS);
    await load.stop();
    const accepting = await checkWholeCluster(cluster, load.told, CONVERGE_LIMIT_MS);
    const convergedMs = performance.now() - healedMs;
    await this.watch.stop();
    return {
      seed: this.seed,
      faults: this.counts,
      acknowledged: load.count,
      repeated: load.repeated,
      unknown: [...load.told.unknown.values()].reduce((sum, count) => sum + count, 0),
      failures: load.failures,
      epochs: accepting.size,
      convergedMs,
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

  /** A process that nobody killed must not have ended. */
  private lookForTheDead(): void {
    for (const [name, service] of this.cluster.processes) {
      if (this.busy.has(name) || service.running) continue;
      this.broken ??= new Error(`${name} ended by itself: ${service.lines.slice(-8).join('\n')}`);
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
        return () => cluster.restart(fault.process);
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
        return () => Promise.all([nats.restart(), ...[...processes.keys()].map((name) => cluster.restart(name))]);
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
        this.setClock(fault.region, fault.offMs);
        return () => this.setClock(fault.region, 0);
    }
  }

  private async healWires(wires: readonly string[]): Promise<void> {
    await Promise.all(wires.map((wire) => this.cluster.network.named(wire).heal()));
  }

  private setClock(region: string, offMs: number): void {
    writeFileSync(join(this.clocks, region), String(offMs));
    const service = this.cluster.process(region);
    // One that starts has not said what the signal means yet; it reads the file anyway.
    if (service.running && !this.busy.has(region)) service.signal('SIGUSR2');
  }

  /** An operator's request through one of the routers, whatever comes of it. */
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

  /** Whatever is still broken is mended: wires, processes, clocks, drills. */
  private async healAll(): Promise<void> {
    const { cluster } = this;
    this.note('all faults are healed');
    this.say('all faults are healed');
    await cluster.network.heal();
    for (const region of cluster.regionNames) this.setClock(region, 0);
    for (const region of cluster.regionNames) {
      await eventually(
        `${region} is healed`,
        async () => (await cluster.post('/cluster/heal', { region })).status === 200,
        CONVERGE_LIMIT_MS,
      );
    }
  }
}
