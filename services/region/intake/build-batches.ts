/** Stamps admitted writes and encodes them into batches. */

import { type Event, type EventBody, type Hlc, hlcMs } from '../../../shared/protocol/events.ts';
import type { SignalColumns } from '../../../shared/protocol/signal-columns.ts';
import { type Batch, NO_PREDECESSOR } from '../batch/batch.ts';
import type { OriginInfo } from '../wal/wal.ts';
import { BatchBuilder } from './batch-builder.ts';
import { type Bulk, isColumns } from './bulk.ts';
import type { Stamp } from './hybrid-clock.ts';

export interface BuildOptions {
  readonly origin: string;
  readonly epoch: number;
  readonly schemaHash: string;
  /** The present end of the origin. */
  readonly after: Pick<OriginInfo, 'last' | 'chain'> | undefined;
  readonly stamp: Stamp;
  readonly bulks: readonly Bulk[];
}

export interface BuiltBatches {
  /** In log order. */
  readonly batches: readonly Batch[];
  /** The last sequence of every bulk. */
  readonly placed: readonly number[];
}

export function buildBatches({ origin, epoch, schemaHash, after, stamp, bulks }: BuildOptions): BuiltBatches {
  const { aheadMs } = stamp;
  let { hlc } = stamp;
  let chain = after?.chain ?? NO_PREDECESSOR;
  let first = (after?.last ?? 0) + 1;
  let builder = new BatchBuilder(aheadMs);
  const batches: Batch[] = [];
  const placed: number[] = [];
  const build = (): void => {
    const batch = builder.build({ origin, epoch, first, schemaHash, chain });
    batches.push(batch);
    chain = batch.hash;
    first = batch.last + 1;
    builder = new BatchBuilder(aheadMs);
  };
  const add = (bodies: readonly EventBody[]): void => {
    for (const body of bodies) {
      const event = stamped(body, hlc++, aheadMs);
      if (builder.add(event)) continue;
      build();
      builder.add(event);
    }
  };
  const addSignals = (signals: SignalColumns): void => {
    for (let at = 0; at < signals.count; ) {
      const added = builder.addSignals(signals, at, hlc);
      if (added === 0) build();
      at += added;
      hlc += added;
    }
  };
  for (const bulk of bulks) {
    if (isColumns(bulk)) addSignals(bulk);
    else add(bulk);
    placed.push(first + builder.count - 1);
  }
  build();
  return { batches, placed };
}

function stamped(body: EventBody, hlc: Hlc, aheadMs: number): Event {
  const ahead = aheadMs === 0 ? {} : { aheadMs };
  const atMs = hlcMs(hlc) - aheadMs;
  if (body.kind === 'item') {
    const { createdMs = atMs, ...put } = body;
    return { ...put, hlc, ...ahead, ...(createdMs < atMs ? { createdMs } : {}) };
  }
  if (body.kind === 'retraction') {
    const { timeMs: _time, of: _of, upToMs = atMs, ...retraction } = body;
    return { ...retraction, hlc, ...ahead, upToMs: Math.max(upToMs, atMs) };
  }
  if (body.kind !== 'signal') return { ...body, hlc, ...ahead };
  const { kind, entity, signal, weight, key } = body;
  const timeMs = Math.min(body.timeMs ?? atMs, atMs);
  // One object shape, written out: spreading the event takes longer than everything else that is done to a signal here.
  if (aheadMs === 0) {
    return key === undefined
      ? { kind, hlc, entity, signal, weight, timeMs }
      : { kind, hlc, entity, signal, weight, timeMs, key };
  }
  return { kind, hlc, entity, signal, weight, timeMs, ...(key === undefined ? {} : { key }), ...ahead };
}
