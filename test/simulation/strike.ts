/** Lets a fault of the plan happen, and ends it when its time is over. */
import type { FaultEvent } from './faults.ts';
import { describeFault } from './faults.ts';
import type { RegionMachine } from './machine.ts';
import { BROKER } from './network.ts';
import { Violation } from './violation.ts';
import { regionNames, routerNames, type World } from './world.ts';

/** An operator waits longer than anything may take. */
const OPERATOR_LIMIT_MS = 60_000;

export function strike(world: World, fault: FaultEvent): void {
  const { scheduler, broker } = world;
  world.note('FAULT', describeFault(fault).slice(11));
  const later = (ms: number, action: () => void): void => void scheduler.after(ms, action);
  switch (fault.kind) {
    case 'kill': {
      const machine = world.machine(fault.who);
      if (!machine.up) return;
      if ('unflushed' in machine) (machine as RegionMachine).unflushed = fault.unflushed;
      machine.kill(fault.backMs, fault.effect === 0 ? undefined : { effect: fault.effect, after: fault.after });
      return;
    }
    case 'stop':
      return world.machine(fault.who).stop(fault.backMs);
    case 'kill all':
      for (const region of world.regions) region.unflushed = fault.unflushed;
      for (const machine of world.machines) machine.kill(fault.backMs);
      return;
    case 'partition': {
      const body = fault.healAfter === undefined ? {} : { heal_after: fault.healAfter };
      return operate(world, fault.by, '/cluster/partition', { region: fault.who, ...body });
    }
    case 'heal':
      return operate(world, fault.by, '/cluster/heal', { region: fault.who, wait: fault.wait });
    case 'promote':
      return operate(world, fault.by, '/cluster/promote', { region: fault.who, force: fault.force });
    case 'verify':
      return operate(world, fault.by, '/cluster/verify', {});
    case 'way':
      return trouble(world, fault.trouble, fault.from, fault.to, fault.forMs);
    case 'isolate':
      for (const other of [...regionNames, ...routerNames, BROKER]) {
        if (other === fault.who) continue;
        trouble(world, 'cut', fault.who, other, fault.forMs);
        trouble(world, 'cut', other, fault.who, fault.forMs);
      }
      return;
    case 'broker down':
      void broker.kill();
      return later(fault.forMs, () => {
        if (!broker.up) void broker.restart();
      });
    case 'broker paused':
      broker.pause();
      return later(fault.forMs, () => broker.resume());
    case 'broker restarts':
      return void broker.restart({ lost: fault.lost });
    case 'broker wiped':
      void broker.restart({ wiped: true });
      void broker.kill();
      return later(fault.downMs, () => {
        if (!broker.up) void broker.restart();
      });
    case 'broker older copy': {
      const copy = world.brokerCopies.findLast(({ atMs }) => atMs <= scheduler.nowMs - fault.ageMs);
      if (copy !== undefined) void broker.restart({ from: copy.copy });
      return;
    }
    case 'stream deleted':
      return void broker.deleteStream();
    case 'stream trimmed':
      return void broker.purgeStream((broker.stream?.last ?? 0) + 1 - fault.keep);
    case 'bucket deleted':
      return void broker.deleteBucket();
    case 'publish fault':
      world.machine(fault.who).broker?.publishFaults.push(fault.what);
      return later(fault.landsMs + 2_000, () => broker.landLate());
    case 'key answer lost': {
      const client = world.machine(fault.who).broker;
      if (client !== undefined) client.loseControlAnswer = true;
      return;
    }
    case 'consumer stalls':
      return world.machine(fault.who).broker?.stallAttachments();
    case 'redelivery':
      return world.machine(fault.who).broker?.redeliver(fault.count);
    case 'disk full': {
      const region = world.region(fault.who);
      region.setFull(true);
      return later(fault.forMs, () => region.setFull(false));
    }
    case 'disk fails':
      return world.region(fault.who).store.failNext(fault.how);
    case 'disk slow': {
      const region = world.region(fault.who);
      region.flushMs = fault.flushMs;
      return later(fault.forMs, () => {
        region.flushMs = 3;
      });
    }
    case 'disk lost':
      return changeDisk(world, world.region(fault.who), fault.backMs, undefined);
    case 'disk restored':
      return changeDisk(world, world.region(fault.who), fault.backMs, fault.ageMs);
    case 'clock steps': {
      const machine = world.machine(fault.who);
      machine.clockOffsetMs += fault.byMs;
      return later(fault.forMs, () => {
        machine.clockOffsetMs -= fault.byMs;
      });
    }
  }
}

function trouble(world: World, what: 'cut' | 'slow' | 'lossy', from: string, to: string, forMs: number): void {
  const { network, broker, scheduler } = world;
  const client = from === BROKER ? to : to === BROKER ? from : undefined;
  network.begin(what, from, to);
  if (what === 'cut' && client !== undefined) broker.silence(client);
  scheduler.after(forMs, () => {
    network.end(what, from, to);
    if (what === 'cut' && client !== undefined) broker.hear(client);
  });
}

function changeDisk(world: World, region: RegionMachine, backMs: number, ageMs: number | undefined): void {
  const atMs = world.scheduler.nowMs - (ageMs ?? 0);
  const backup = ageMs === undefined ? undefined : region.backups.findLast((one) => one.atMs <= atMs);
  if (ageMs !== undefined && backup === undefined) return;
  region.kill(backMs);
  region.replaceDisk(backup?.store);
  world.promises.diskLost(world.held());
}

/** An operator's request; its answer is judged as far as it says something that must be true. */
export function operate(world: World, router: string, path: string, fields: Record<string, unknown>): void {
  const ended = new AbortController();
  const limit = world.scheduler.after(OPERATOR_LIMIT_MS, () => ended.abort());
  const call = {
    method: 'POST' as const,
    path,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(fields),
    signal: ended.signal,
  };
  const asked = `${path} ${JSON.stringify(fields)} by ${router}`;
  world.network
    .call('operator', router, call, 1_000)
    .then(
      async ({ statusCode, body }) => {
        const text = Buffer.from(await body.arrayBuffer()).toString();
        world.note('operator', `${asked}: ${statusCode} ${text}`);
        world.check(() => judge(asked, statusCode, JSON.parse(text) as Record<string, unknown>));
      },
      (error: unknown) => world.note('operator', `${asked}: ${(error as Error).message}`),
    )
    .finally(() => limit.cancel());
}

function judge(asked: string, status: number, answer: Record<string, unknown>): void {
  if (status === 500) throw new Violation('no mistake is answered', `${asked}: ${JSON.stringify(answer)}`);
  if (answer.converged === false) throw new Violation('one digest a position', `${asked}: ${JSON.stringify(answer)}`);
}
