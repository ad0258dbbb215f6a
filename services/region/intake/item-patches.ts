/**
 * Patches of items: the leader merges one with the item as it is at the position of the write, and logs the whole metadata as an
 * ordinary put. So every region, whatever its version, applies a put, and two patches of different fields both stay.
 *
 * The item as it is: its state, after everything that was durable when the group was built is applied. A group has no patch of an
 * item that the same group writes: that one waits for the next group, and so do later writes of the same item.
 */
import { Refusal } from '../../../shared/errors/errors.ts';
import {
  EVENT_LIMIT_BYTES,
  type EventBody,
  type Metadata,
  metadataFlaw,
  type RequestedBody,
} from '../../../shared/protocol/events.ts';
import { eventBytes } from '../batch/batch.ts';
import type { Catalog } from '../state/catalog/catalog.ts';
import { type Bulk, isColumns, type RequestedBulk } from './bulk.ts';

export type PatchedItems = Pick<Catalog, 'item' | 'metadataBytes'>;

export function hasPatch(bulk: RequestedBulk | readonly RequestedBody[]): boolean {
  return !isColumns(bulk) && bulk.some(({ kind }) => kind === 'patch');
}

/** Which entries may share a group: see above. */
export class SeparateItems {
  private readonly written = new Set<number>();
  private readonly deferred = new Set<number>();

  /** Whether an entry may join the group; if not, no later one that writes the same items may. */
  admits(bulk: RequestedBulk): boolean {
    if (isColumns(bulk)) return true;
    const writes = bulk.filter(({ kind }) => kind === 'item' || kind === 'patch' || kind === 'delete');
    const isIn = writes.every(
      ({ kind, entity }) => !this.deferred.has(entity) && !(kind === 'patch' && this.written.has(entity)),
    );
    for (const { entity } of writes) (isIn ? this.written : this.deferred).add(entity);
    return isIn;
  }
}

/** Bytes that merging adds to the patches of a bulk. */
export function mergedBytes(items: PatchedItems, bulk: RequestedBulk): number {
  if (isColumns(bulk)) return 0;
  let bytes = 0;
  for (const { kind, entity } of bulk) if (kind === 'patch') bytes += items.metadataBytes(entity);
  return bytes;
}

/** The bulk with its patches as puts; the refusal if one of them cannot be merged. */
export function mergePatches(items: PatchedItems, region: string, bulk: RequestedBulk): Bulk | Refusal {
  if (isColumns(bulk)) return bulk;
  const merged: EventBody[] = [];
  for (const body of bulk) {
    if (body.kind !== 'patch') {
      merged.push(body);
      continue;
    }
    const { entity, changes, key } = body;
    const item = items.item(entity);
    if (item === undefined) {
      return new Refusal('unknown_item', `there is no item ${entity} in ${region} to change`, {
        hint: 'put it with POST /items',
      });
    }
    const metadata = Object.fromEntries(
      Object.entries({ ...item.metadata, ...changes }).filter(([, value]) => value !== null),
    ) as Metadata;
    const put: EventBody = { kind: 'item', entity, metadata, ...(key === undefined ? {} : { key }) };
    const refusal = refusalOf(put);
    if (refusal !== undefined) return refusal;
    merged.push(put);
  }
  return merged;
}

function refusalOf(put: EventBody & { readonly kind: 'item' }): Refusal | undefined {
  const flaw = metadataFlaw(put.metadata);
  if (flaw !== undefined) {
    const message = `${flaw.message}; with this change it has ${Object.keys(put.metadata).length}`;
    return new Refusal('invalid_request', `metadata ${message}`, { errors: [{ path: 'metadata', message }] });
  }
  const bytes = eventBytes(put);
  if (bytes <= EVENT_LIMIT_BYTES) return undefined;
  return new Refusal(
    'event_too_large',
    `the item would have ${bytes} bytes with this change; at most ${EVENT_LIMIT_BYTES} are taken`,
  );
}
