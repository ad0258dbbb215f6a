/**
 * Limits of a region's state in memory: entities, (item, signal) pairs, metadata fields, and the resident memory of the process. A
 * pair and an entity are never removed, and a start loads all of them, so a state that does not fit would end every region and every restart.
 *
 * Promise: a write that would add an entity, a pair or a field beyond a limit is refused with `state_full`, before it has a sequence;
 * everything else is accepted. The leader judges its own writes only: what another region accepted is applied whatever the
 * limits, so regions with different limits do not diverge. The counts are exact, because a group is judged when it is built, and
 * applied before the next one.
 *
 * Fields are those of indexed items: while a start still builds the filter index, more may be added.
 *
 * While memory is beyond its limit, a put of an item that is not live, and an embedding where there was none, are refused too.
 */
import { Refusal } from '../../../shared/errors/errors.ts';
import type { Clock } from '../../../shared/kernel/kernel.ts';
import type { Metrics } from '../../../shared/observe/metrics.ts';
import type { EventBody } from '../../../shared/protocol/events.ts';
import type { IndexQueue } from '../index-queue/index-queue.ts';
import type { MemoryReading } from '../resident-memory/resident-memory.ts';
import type { Catalog } from '../state/catalog/catalog.ts';
import type { Entities } from '../state/entities/entities.ts';
import type { FilterIndex } from '../state/filter-index/filter-index.ts';
import type { Ledger } from '../state/ledger/ledger.ts';
import { type Bulk, countOf, isColumns } from './bulk.ts';
import type { StateLimits } from './intake.ts';

/** Reading the memory reads files, so it is not done with every group. */
const READ_EVERY_MS = 1_000;

const NONE = Number.POSITIVE_INFINITY;
export const noStateLimits: StateLimits = { entities: NONE, pairs: NONE, fields: NONE };

export interface StateLimitOptions {
  readonly clock: Clock;
  /** Named in the refusals. */
  readonly region: string;
  readonly metrics: Metrics;
  readonly limits: StateLimits;
  readonly entities: Pick<Entities, 'find' | 'size'>;
  readonly catalog: Pick<Catalog, 'metadataBytes' | 'embedding'>;
  readonly ledger: Pick<Ledger, 'has' | 'pairs'>;
  readonly filterIndex: Pick<FilterIndex, 'fieldCount' | 'hasField'>;
  /** Whether the filter index has every applied item. */
  readonly indexQueue: Pick<IndexQueue, 'isCurrent'>;
}

/** What writes add to the state. */
interface Additions {
  readonly entities: Set<number>;
  /** Entity and signal. */
  readonly pairs: Set<string>;
  readonly fields: Set<string>;
  /** Items that were not live, and embeddings where there was none. */
  contents: number;
}

const noAdditions = (): Additions => ({ entities: new Set(), pairs: new Set(), fields: new Set(), contents: 0 });

export class StateLimit {
  private readonly options: StateLimitOptions;
  private memory: MemoryReading | undefined;
  private readMs = Number.NEGATIVE_INFINITY;
  /** Fields of accepted items that the filter index may not have yet. */
  private readonly recent = new Set<string>();

  constructor(options: StateLimitOptions) {
    this.options = options;
    const { metrics, limits, entities, filterIndex } = options;
    metrics.gauge({
      name: 'tidal_entities',
      help: 'Items, and entities that only have signals, embeddings or a tombstone.',
      read: () => entities.size,
    });
    metrics.gauge({
      name: 'tidal_entities_limit',
      help: 'Entities beyond which none is added.',
      read: () => limits.entities,
    });
    metrics.gauge({
      name: 'tidal_ledger_pairs_limit',
      help: 'Pairs beyond which none is added.',
      read: () => limits.pairs,
    });
    metrics.gauge({
      name: 'tidal_metadata_fields',
      help: 'Distinct metadata fields of the indexed items.',
      read: () => filterIndex.fieldCount,
    });
    metrics.gauge({
      name: 'tidal_metadata_fields_limit',
      help: 'Metadata fields beyond which none is added.',
      read: () => limits.fields,
    });
    metrics.gauge({
      name: 'tidal_state_memory_bytes',
      help: 'Resident memory that counts against its limit; absent without one.',
      read: () => limits.memory?.read().usedBytes,
    });
    metrics.gauge({
      name: 'tidal_state_memory_limit_bytes',
      help: 'Resident memory beyond which nothing is added to the state; absent without a limit.',
      read: () => limits.memory?.read().limitBytes,
    });
  }

  /** For each of these in order, why it is refused, as if the accepted ones before it were applied. Empty: all are accepted. */
  refusals(bulks: readonly Bulk[]): readonly (Refusal | undefined)[] {
    const { entities, ledger, limits } = this.options;
    this.forgetIndexed();
    const memoryRefusal = this.memoryRefusal();
    const count = bulks.reduce((sum, bulk) => sum + countOf(bulk), 0);
    // The common case: they fit even if every one of them adds an entity and a pair.
    const fit = entities.size + count <= limits.entities && ledger.pairs + count <= limits.pairs;
    if (fit && memoryRefusal === undefined && !this.addsField(bulks)) return [];
    const accepted = noAdditions();
    const refusals = bulks.map((bulk) => {
      const added = this.additions(bulk, accepted);
      const adds = added.entities.size + added.pairs.size + added.fields.size + added.contents > 0;
      const refusal = this.countRefusal(added, accepted) ?? (adds ? memoryRefusal : undefined);
      if (refusal !== undefined) return refusal;
      for (const entity of added.entities) accepted.entities.add(entity);
      for (const pair of added.pairs) accepted.pairs.add(pair);
      for (const field of added.fields) accepted.fields.add(field);
      return undefined;
    });
    for (const field of accepted.fields) this.recent.add(field);
    return refusals;
  }

  private hasField(field: string): boolean {
    return this.options.filterIndex.hasField(field) || this.recent.has(field);
  }

  private forgetIndexed(): void {
    const { filterIndex, indexQueue } = this.options;
    if (indexQueue.isCurrent) this.recent.clear();
    for (const field of this.recent) if (filterIndex.hasField(field)) this.recent.delete(field);
  }

  /** Whether an item has a field that none has yet. */
  private addsField(bulks: readonly Bulk[]): boolean {
    const { limits } = this.options;
    if (limits.fields === NONE) return false;
    const isNew = (body: EventBody): boolean =>
      body.kind === 'item' && Object.keys(body.metadata).some((field) => !this.hasField(field));
    return bulks.some((bulk) => !isColumns(bulk) && bulk.some(isNew));
  }

  private additions(bulk: Bulk, before: Additions): Additions {
    const { entities, ledger, catalog } = this.options;
    const added = noAdditions();
    const addEntity = (entity: number): void => {
      if (entities.find(entity) < 0 && !before.entities.has(entity)) added.entities.add(entity);
    };
    const addSignal = (entity: number, signal: string): void => {
      if (ledger.has(entity, signal)) return;
      addEntity(entity);
      const pair = `${entity} ${signal}`;
      if (!before.pairs.has(pair)) added.pairs.add(pair);
    };
    const addBody = (body: EventBody): void => {
      // Its signal is in the log of this region.
      if (body.kind === 'retraction') return;
      if (body.kind === 'signal') {
        addSignal(body.entity, body.signal);
        return;
      }
      addEntity(body.entity);
      if (body.kind === 'item') {
        for (const field of Object.keys(body.metadata)) {
          if (!this.hasField(field) && !before.fields.has(field)) added.fields.add(field);
        }
      }
      if (body.kind === 'item' && catalog.metadataBytes(body.entity) === 0) added.contents++;
      if (body.kind === 'embedding' && catalog.embedding(body.entity) === undefined) added.contents++;
    };
    if (!isColumns(bulk)) bulk.forEach(addBody);
    else for (let at = 0; at < bulk.count; at++) addSignal(bulk.entities[at]!, bulk.names[bulk.kinds[at]!]!);
    return added;
  }

  private countRefusal(added: Additions, accepted: Additions): Refusal | undefined {
    const { entities, ledger, filterIndex, limits, region } = this.options;
    const refusal = (what: string, adds: number, used: number, limit: number, setting: string) =>
      adds === 0 || used + adds <= limit
        ? undefined
        : new Refusal(
            'state_full',
            `${region} has ${used} of at most ${limit} ${what}; the request would add ${adds}`,
            {
              hint: `raise ${setting} of all regions if their memory allows it; writes to what exists are accepted`,
            },
          );
    return (
      refusal(
        'entities',
        added.entities.size,
        entities.size + accepted.entities.size,
        limits.entities,
        '--max-entities (TIDAL_MAX_ENTITIES)',
      ) ??
      refusal(
        '(item, signal) pairs',
        added.pairs.size,
        ledger.pairs + accepted.pairs.size,
        limits.pairs,
        '--max-pairs (TIDAL_MAX_PAIRS)',
      ) ??
      refusal(
        'metadata fields',
        added.fields.size,
        filterIndex.fieldCount + this.recent.size + accepted.fields.size,
        limits.fields,
        '--max-fields (TIDAL_MAX_FIELDS)',
      )
    );
  }

  private memoryRefusal(): Refusal | undefined {
    const { clock, limits, region } = this.options;
    if (limits.memory === undefined) return undefined;
    const nowMs = clock.monotonicMs();
    if (this.memory === undefined || nowMs - this.readMs >= READ_EVERY_MS) {
      this.readMs = nowMs;
      this.memory = limits.memory.read();
    }
    const { usedBytes, limitBytes } = this.memory;
    if (usedBytes <= limitBytes) return undefined;
    return new Refusal(
      'state_full',
      `${region} uses ${usedBytes} of at most ${limitBytes} bytes of memory for its state`,
      {
        hint: `raise ${limits.memory.setting} of all regions; writes to what exists are accepted`,
      },
    );
  }
}
