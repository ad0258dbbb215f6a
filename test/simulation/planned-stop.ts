/**
 * The leader of a healthy cluster receives SIGTERM while clients write: another region leads and has everything before it ends,
 * and no write fails.
 */
import { Client } from './clients.ts';
import type { Write } from './promises.ts';
import { Violation } from './violation.ts';
import type { World } from './world.ts';

/** It ends within this: it waits up to 6 s to be relieved, and 1.5 s longer. */
const STOPPED_WITHIN_MS = 12_000;
const BACK_MS = 2_000;
/** Before the stop, and for a while after it was asked for, clients write. */
const BEFORE_MS = 300;
const WRITING_MS = 4_000;

/** Nothing but the stop can make such a write fail. */
const pace = {
  ...{ thinkMs: 60, reads: 0.1, keyed: 0, bulk: 0.1, durabilityStream: 0, again: 0 },
  ...{ items: 3, documents: 3 },
};

export async function stopTheLeader(world: World, over: () => boolean): Promise<void> {
  const { scheduler, promises, routers } = world;
  const leader = world.regions.find(({ name }) => name === routers[0]?.router?.leadership.current?.leader);
  if (leader === undefined) return;
  const writesBefore = promises.writes.length;
  const writtenMs = scheduler.nowMs + WRITING_MS;
  for (let client = 1; client <= 3; client++) new Client(world, `client-stop-${client}`, pace, writtenMs);
  await scheduler.run(scheduler.nowMs + BEFORE_MS, over);
  if (over()) return;
  world.note('FAULT', `the leader ${leader.name} receives SIGTERM`);
  const { life } = leader;
  leader.stop(BACK_MS);
  await scheduler.run(scheduler.nowMs + STOPPED_WITHIN_MS, () => over() || leader.life !== life);
  if (over()) return;
  world.check(() => {
    if (leader.life === life)
      throw new Violation('liveness', `${leader.name} has not stopped in ${STOPPED_WITHIN_MS} ms`);
    const now = world.leaderInBucket;
    if (now === leader.name || now === undefined) {
      throw new Violation('a leader that stops hands over', `${leader.name} has stopped, and the record names ${now}`);
    }
    for (const [origin, last] of leader.onDisk) {
      if (world.regions.some((other) => other !== leader && (other.onDisk.get(origin) ?? 0) >= last)) continue;
      throw new Violation('a leader that stops leaves nothing behind', `only ${leader.name} has ${origin}:${last}`);
    }
  });
  const written = (): readonly Write[] => promises.writes.slice(writesBefore);
  const answered = (): boolean => scheduler.nowMs > writtenMs && written().every(({ outcome }) => outcome !== 'open');
  await scheduler.run(scheduler.nowMs + STOPPED_WITHIN_MS, () => over() || answered());
  if (over()) return;
  // A short queue is full for as long as writes wait.
  const { tidal_intake_waiting_events, tidal_router_held_writes } = world.limits;
  const hasRoom = Math.min(tidal_intake_waiting_events, tidal_router_held_writes) > 100;
  world.check(() => {
    // There may be no item to patch.
    const isPatch = ({ bodies }: Write): boolean => bodies[0]?.kind === 'patch';
    const failed = written().find(
      (write) =>
        write.outcome === 'unknown' ||
        (hasRoom && write.outcome !== 'acknowledged' && !(write.outcome === 'refused' && isPatch(write))),
    );
    if (failed === undefined) return;
    const what = `write ${failed.id} is ${failed.outcome}, while ${leader.name} stopped in order`;
    throw new Violation('a planned stop fails no write', what);
  });
}
