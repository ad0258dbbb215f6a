/**
 * The lease of drills. It keeps two operators from running drills at the same time by mistake, no more: times are those of the
 * routers' clocks, and a program that has lost its lease learns of it when it extends it.
 */
import { Fault, Refusal } from '../../../shared/errors/errors.ts';
import { type Clock, within } from '../../../shared/kernel/kernel.ts';
import { type DrillValue, parseDrillValue } from '../../../shared/leadership/leadership.ts';
import type { RefusedValues } from '../../../shared/leadership/refused-values.ts';
import type { Control, Revision } from '../../../shared/stream/stream.ts';
import type { DrillInProgress, RegionsView } from '../cluster/cluster.ts';
import { DRILL_EXPIRES_MS, type DrillLease, type Drills } from './drills.ts';

/** A status does not wait longer for the broker. */
const READ_LIMIT_MS = 500;
/** Attempts against other writers. */
const ATTEMPTS = 10;

export interface DrillLeaseOptions {
  readonly key: Control;
  readonly drills: Drills;
  readonly regions: RegionsView;
  /** Of the topology. */
  readonly names: readonly string[];
  readonly clock: Clock;
  readonly refusals: Pick<RefusedValues, 'ignore'>;
}

interface Read {
  readonly value: DrillValue | undefined;
  readonly revision: Revision | undefined;
}

export function createDrillLease({ key, drills, regions, names, clock, refusals }: DrillLeaseOptions): DrillLease {
  /** As last read or written. */
  let known: DrillValue | undefined;

  const read = async (): Promise<Read> => {
    const entry = await key.read();
    if (entry === 'missing') {
      known = undefined;
      return { value: undefined, revision: undefined };
    }
    known = parseDrillValue(entry.value);
    if (known === undefined) refusals.ignore('the drill key', entry.value, 'it names no drill');
    return { value: known, revision: entry.revision };
  };

  /** Writes what `change` makes of the present value; `change` may throw, and undefined changes nothing. */
  const write = async (change: (present: DrillValue | undefined) => DrillValue | undefined): Promise<DrillValue> => {
    try {
      for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
        const { value: present, revision } = await read();
        const next = change(present);
        if (next === undefined) return present!;
        const written = revision === undefined ? await key.create(next) : await key.update(next, revision);
        if (written === 'conflict') continue;
        known = next;
        return next;
      }
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      throw unwritten(error.message);
    }
    throw unwritten('others wrote it at the same time');
  };

  const isOn = (value: DrillValue | undefined): value is DrillValue =>
    value !== undefined && !value.ended && value.expiresMs > clock.nowMs();

  return {
    async current() {
      // The last known value, if the broker does not answer at once.
      await within(clock, READ_LIMIT_MS, read(), undefined).catch((error: unknown) => {
        if (!(error instanceof Fault)) throw error;
      });
      return isOn(known) ? shown(known) : undefined;
    },
    async hold({ id, title }) {
      const value = await write((present) => {
        const nowMs = clock.nowMs();
        const mine = present?.id === id;
        if (mine && present.ended) throw new Refusal('drill_ended', `the drill "${present.title}" was ended`);
        if (!mine && isOn(present)) {
          const until = new Date(present.expiresMs).toISOString();
          throw new Refusal(
            'drill_in_progress',
            `the drill "${present.title}" is in progress, at least until ${until}`,
            {
              hint: 'one drill at a time; tidal drill stop (POST /cluster/drill/stop) ends it',
            },
          );
        }
        const startedMs = mine ? present.startedMs : nowMs;
        return { id, title, startedMs, expiresMs: nowMs + DRILL_EXPIRES_MS, ended: false };
      });
      return shown(value);
    },
    async end(id) {
      await write((present) => {
        if (present?.id !== id || present.ended) return undefined;
        return { ...present, expiresMs: clock.nowMs(), ended: true };
      });
    },
    async stop() {
      const healed: string[] = [];
      const notReached: string[] = [];
      await Promise.all(
        names.map(async (name) => {
          const region = await regions.ask(name);
          if (region?.status.partitioned === false) return;
          try {
            if (region === undefined) notReached.push(name);
            else {
              await drills.heal(name);
              healed.push(name);
            }
          } catch (error) {
            if (!(error instanceof Refusal)) throw error;
            notReached.push(name);
          }
        }),
      );
      let ended: DrillValue | undefined;
      await write((present) => {
        ended = isOn(present) ? present : undefined;
        return ended === undefined ? undefined : { ...ended, expiresMs: clock.nowMs(), ended: true };
      });
      return {
        ended: ended === undefined ? null : { id: ended.id, title: ended.title },
        healed: names.filter((name) => healed.includes(name)),
        not_reached: names.filter((name) => notReached.includes(name)),
      };
    },
  };
}

function shown({ id, title, startedMs, expiresMs }: DrillValue): DrillInProgress {
  const time = (ms: number): string => new Date(ms).toISOString();
  return { id, title, started_at: time(startedMs), expires_at: time(expiresMs) };
}

function unwritten(detail: string): Refusal {
  return new Refusal('control_unavailable', `the lease of drills cannot be read or written: ${detail}`, {
    hint: 'it is in the control bucket of NATS; ask again when NATS answers',
  });
}
