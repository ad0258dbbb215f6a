/** Lets a fault of the plan happen, and ends it when its time is over. */
import type { FaultEvent, FaultKind } from './faults.ts';
import { describeFault } from './faults.ts';
import { putHostileItem } from './hostile-item.ts';
import { postGarbage, publishGarbage, putGarbageKey } from './intruder.ts';
import { sendKeyedSignal } from './keyed-signal.ts';
import { BROKER } from './network.ts';
import type { RegionMachine } from './region-machine.ts';
import { Violation } from './violation.ts';
import { regionNames, routerNames, type World } from './world.ts';

/** An operator waits longer than anything may take. */
const OPERATOR_LIMIT_MS = 60_000;

/** What takes something away for good. */
const losses: ReadonlySet<FaultKind> = new Set<FaultKind>([
  'broker restarts',
  'broker wiped',
  'broker older copy',
  'stream deleted',
  'stream trimmed',
  'disk lost',
  'disk restored',
  'disk returned',
]);

export function strike(world: World, fault: FaultEvent): void {
  inflict(world, fault);
  // A restart of the broker takes a turn, but no virtual time.
  if (losses.has(fault.kind)) world.scheduler.after(0.001, () => world.lost());
}

function inflict(world: World, fault: FaultEvent): void {
  const { scheduler, broker } = world;
  world.note('FAULT', describeFault(fault).slice(11));
  if (fault.kind === 'broker older copy' || (fault.kind === 'broker restarts' && fault.lost > 0))
    world.holdings.renumbered = true;
  if (/broker|bucket/.test(fault.kind)) world.failovers.disturbed();
  const later = (ms: number, action: () => void): void => {
    scheduler.after(ms, () => {
      if (!world.healed) action();
    });
  };
  switch (fault.kind) {
    case 'kill': {
      const machine = world.machine(fault.who);
      if (!machine.up) return;
      if ('unflushed' in machine) (machine as RegionMachine).unflushed = fault.unflushed;
      machine.kill(fault.backMs, fault.effect === 0 ? undefined : { effect: fault.effect, after: fault.after });
      return;
    }
    case 'stop':
      world.machine(fault.who).stop(fault.backMs);
      return;
    case 'freeze': {
      const life = world.machine(fault.who).life;
      life?.freeze();
      later(fault.forMs, () => life?.thaw());
      return;
    }
    case 'stall':
      world.machine(fault.who).life?.stallAt(fault.effect, fault.forMs);
      return;
    case 'kill all':
      for (const region of world.regions) region.unflushed = fault.unflushed;
      for (const machine of world.machines) machine.kill(fault.backMs);
      return;
    case 'partition': {
      const body = fault.healAfter === undefined ? {} : { heal_after: fault.healAfter };
      void operate(world, fault.by, '/cluster/partition', { region: fault.who, ...body });
      return;
    }
    case 'heal':
      void operate(world, fault.by, '/cluster/heal', { region: fault.who, wait: fault.wait });
      return;
    case 'promote':
      void operate(world, fault.by, '/cluster/promote', { region: fault.who, force: fault.force });
      return;
    case 'verify':
      void operate(world, fault.by, '/cluster/verify', {});
      return;
    case 'way':
      trouble(world, fault.trouble, fault.from, fault.to, fault.forMs);
      return;
    case 'isolate':
      split(world, [fault.who], fault.forMs);
      return;
    case 'split':
      split(world, fault.side, fault.forMs);
      return;
    case 'broker down':
      void broker.kill();
      later(fault.forMs, () => {
        if (!broker.up) void broker.restart();
      });
      return;
    case 'broker paused':
      broker.pause();
      world.brokerPaused = true;
      later(fault.forMs, () => broker.resume());
      return;
    case 'broker restarts':
      void broker.restart({ lost: fault.lost });
      return;
    case 'broker wiped':
      void broker.restart({ wiped: true }).then(() => broker.kill());
      later(fault.downMs, () => {
        if (!broker.up) void broker.restart();
      });
      return;
    case 'broker older copy': {
      const copy = world.brokerCopies.findLast(({ atMs }) => atMs <= scheduler.nowMs - fault.ageMs);
      if (copy !== undefined) void broker.restart({ from: copy.copy });
      return;
    }
    case 'stream deleted':
      void broker.deleteStream();
      return;
    case 'stream trimmed':
      void broker.purgeStream((broker.stream?.last ?? 0) + 1 - fault.keep);
      return;
    case 'bucket deleted':
      void broker.deleteBucket();
      return;
    case 'publish fault':
      world.machine(fault.who).broker?.publishFaults.push(fault.what);
      later(fault.landsMs + 2_000, () => broker.landLate());
      return;
    case 'key answer lost': {
      const client = world.machine(fault.who).broker;
      if (client !== undefined) client.loseControlAnswer = true;
      return;
    }
    case 'consumer stalls':
      world.machine(fault.who).broker?.stallSubscriptions();
      return;
    case 'redelivery':
      world.machine(fault.who).broker?.redeliver(fault.count);
      return;
    case 'disk full': {
      const region = world.region(fault.who);
      region.setFull(true);
      later(fault.forMs, () => region.setFull(false));
      return;
    }
    case 'disk fails':
      world.region(fault.who).store.failNext(fault.how);
      return;
    case 'disk slow': {
      const region = world.region(fault.who);
      region.flushMs = fault.flushMs;
      later(fault.forMs, () => {
        region.flushMs = 3;
      });
      return;
    }
    case 'second process':
      world.region(fault.who).startAgain(fault.forMs);
      return;
    case 'old origins':
      // They exist already.
      return;
    case 'garbage published':
      publishGarbage(world, fault.into, fault.draw, fault.absurd);
      return;
    case 'garbage key':
      putGarbageKey(world, fault.key, fault.draw);
      return;
    case 'garbage posted':
      void postGarbage(world, world.region(fault.who), fault.draw);
      return;
    case 'days pass':
      world.pass(fault.days);
      return;
    case 'hostile item':
      void putHostileItem(world, fault);
      return;
    case 'keyed signal':
      void sendKeyedSignal(world, fault);
      return;
    case 'disks retired':
      void retireDisks(world, fault.by);
      return;
    case 'wrong address':
      world.network.lead(fault.from, fault.to, fault.instead);
      later(fault.forMs, () => world.network.lead(fault.from, fault.to, fault.to));
      return;
    case 'disk returned': {
      const region = world.region(fault.who);
      const { takenOut } = region;
      if (takenOut === undefined) return;
      region.kill(fault.backMs);
      region.replaceDisk(takenOut);
      return;
    }
    case 'disk lost':
      changeDisk(world, world.region(fault.who), fault.backMs, undefined);
      return;
    case 'disk restored':
      changeDisk(world, world.region(fault.who), fault.backMs, fault.ageMs);
      return;
    case 'full disk hands over':
      world.fullDiskHandsOver = true;
      return;
    case 'leader stops':
      world.leaderStops = true;
      return;
    case 'quiet end':
      world.quietMs = fault.forMs;
      return;
    case 'clock steps': {
      const machine = world.machine(fault.who);
      machine.clockOffsetMs += fault.byMs;
      later(fault.forMs, () => {
        machine.clockOffsetMs -= fault.byMs;
      });
      return;
    }
  }
}

function trouble(world: World, what: 'cut' | 'slow' | 'lossy', from: string, to: string, forMs: number): void {
  const { network, broker, scheduler } = world;
  const client = from === BROKER ? to : to === BROKER ? from : undefined;
  network.begin(what, from, to);
  if (what === 'cut' && client !== undefined) broker.silence(client);
  scheduler.after(forMs, () => {
    if (world.healed) return;
    network.end(what, from, to);
    if (what === 'cut' && client !== undefined) broker.hear(client);
  });
}

function split(world: World, side: readonly string[], forMs: number): void {
  const others = [...regionNames, ...routerNames, BROKER].filter((name) => !side.includes(name));
  for (const one of side) {
    for (const other of others) {
      trouble(world, 'cut', one, other, forMs);
      trouble(world, 'cut', other, one, forMs);
    }
  }
}

function changeDisk(world: World, region: RegionMachine, backMs: number, ageMs: number | undefined): void {
  const atMs = world.scheduler.nowMs - (ageMs ?? 0);
  const backup = ageMs === undefined ? undefined : region.backups.findLast((one) => one.atMs <= atMs);
  if (ageMs !== undefined && backup === undefined) return;
  region.kill(backMs);
  if (backup === undefined) region.takenOut = region.store;
  region.replaceDisk(backup?.store);
}

async function retireDisks(world: World, router: string): Promise<void> {
  const answer = await ask(world, router, 'GET', '/cluster/status');
  if (answer?.status !== 200 || world.healed) return;
  const { absent_disks } = answer.body as { readonly absent_disks: readonly { readonly disk: string }[] };
  for (const { disk } of absent_disks) {
    world.disksRetired = true;
    void operate(world, router, '/cluster/retire-disk', { disk });
  }
}

/** An operator's request; its answer is judged as far as it says something that must be true. Answers its status, if it has one. */
export async function operate(
  world: World,
  router: string,
  path: string,
  fields: Record<string, unknown>,
): Promise<number | undefined> {
  const answer = await ask(world, router, 'POST', path, fields);
  if (answer === undefined) return undefined;
  world.check(() => judge(`${path} ${JSON.stringify(fields)} by ${router}`, answer.status, answer.body));
  return answer.status;
}

interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

async function ask(
  world: World,
  router: string,
  method: 'GET' | 'POST',
  path: string,
  fields?: Record<string, unknown>,
): Promise<Answer | undefined> {
  const ended = new AbortController();
  const limit = world.scheduler.after(OPERATOR_LIMIT_MS, () => ended.abort());
  const headers = { 'content-type': 'application/json' };
  const text = fields === undefined ? '' : JSON.stringify(fields);
  const asked = `${path} ${text} by ${router}`;
  try {
    const call = { method, path, headers, body: text, signal: ended.signal };
    const { statusCode, body } = await world.network.call('operator', router, call, 1_000);
    const answer = Buffer.from(await body.arrayBuffer()).toString();
    world.note('operator', `${asked}: ${statusCode} ${answer}`);
    return { status: statusCode, body: JSON.parse(answer) as Record<string, unknown> };
  } catch (error) {
    world.note('operator', `${asked}: ${(error as Error).message}`);
    return undefined;
  } finally {
    limit.cancel();
  }
}

function judge(asked: string, status: number, answer: Record<string, unknown>): void {
  if (status === 500) throw new Violation('no request is answered 500', `${asked}: ${JSON.stringify(answer)}`);
  if (answer.converged === false) throw new Violation('one digest a position', `${asked}: ${JSON.stringify(answer)}`);
}
