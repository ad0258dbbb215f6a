/**
 * What an event may be, from the documents (`docs/api.md`, `docs/limits.md`) and with no code of the regions: nothing else may
 * be in any log, because a region that met it could not apply it.
 */
import type { Batch } from '../../services/region/batch/batch.ts';
import type { Schema } from '../../services/region/schema/schema.ts';
import { acceptedMs, type Event } from '../../shared/protocol/events.ts';
import { Violation } from './violation.ts';

const WEIGHT_LIMIT_THOUSANDTHS = 10_000_000;
/** A retraction takes back signals of its key, which lives this long, by clocks that differ by so much. */
const WEEK_MS = 7 * 86_400_000;
const CLOCKS_MS = 30_000;
const YEAR_2110_MS = Date.UTC(2110, 0, 1);
/** Far more leaderships than any run has, gaps included. */
const EPOCH_LIMIT = 1e8;

export function requireApplicable(batch: Batch, schema: Schema, regions: readonly string[]): void {
  const { origin, epoch, events } = batch;
  const problem =
    (regions.includes(origin.split('@')[0]!) ? undefined : 'its region is in no topology') ??
    (Number.isInteger(epoch) && epoch >= 1 && epoch < EPOCH_LIMIT ? undefined : `its epoch is ${epoch}`) ??
    events.map((event) => flaw(event, schema)).find((one) => one !== undefined);
  if (problem === undefined) return;
  throw new Violation('every event in a log can be applied', `${origin}:${batch.first}: ${problem}`);
}

function flaw(event: Event, schema: Schema): string | undefined {
  const { entity, hlc, kind } = event;
  if (!Number.isSafeInteger(entity) || entity < 0) return `entity ${entity}`;
  if (!Number.isSafeInteger(hlc) || hlc < 1) return `clock value ${hlc}`;
  switch (kind) {
    case 'signal': {
      const { signal, weight, timeMs } = event;
      if (!schema.signals.has(signal)) return `signal ${signal}`;
      if (!Number.isInteger(weight) || weight < 0 || weight > WEIGHT_LIMIT_THOUSANDTHS) return `weight ${weight}`;
      return Number.isInteger(timeMs) && timeMs >= 0 && timeMs < YEAR_2110_MS ? undefined : `time ${timeMs}`;
    }
    case 'retraction': {
      const { signal, weight, upToMs, key } = event;
      if (!schema.signals.has(signal)) return `signal ${signal}`;
      if (!Number.isInteger(weight) || weight < 0 || weight > WEIGHT_LIMIT_THOUSANDTHS) return `weight ${weight}`;
      if (key === undefined) return 'a retraction without a key';
      const aheadMs = upToMs - acceptedMs(event);
      return aheadMs >= 0 && aheadMs <= WEEK_MS + CLOCKS_MS && upToMs < YEAR_2110_MS ? undefined : `time ${upToMs}`;
    }
    case 'item':
      return Object.entries(event.metadata).every(([name, value]) => name !== '' && isFlat(value))
        ? undefined
        : 'metadata that is not flat';
    case 'embedding':
      return event.values.length === schema.embedding.dimensions && event.values.every(Number.isFinite)
        ? undefined
        : 'values';
    case 'delete':
      return undefined;
  }
}

function isFlat(value: unknown): boolean {
  if (Array.isArray(value)) return value.every((element) => typeof element === 'string');
  return (
    typeof value === 'string' || typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value))
  );
}
