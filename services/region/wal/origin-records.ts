/** The stored record of an origin, JSON: where it stands, and its times. */
import { NO_PREDECESSOR } from '../../../shared/protocol/batch.ts';
import { hlcMs } from '../../../shared/protocol/events.ts';
import { decodeJson, encodeJson } from './documents.ts';
import type { OriginInfo } from './wal.ts';

interface StoredOrigin {
  readonly epoch: number;
  readonly last: number;
  readonly chain: string;
  readonly lastHlc: number;
  /** Both are absent where they are the millisecond of `lastHlc`: nearly always. */
  readonly lastMs?: number;
  readonly newestMs?: number;
}

/** An origin before its first event. */
export function openedOrigin(origin: string, epoch: number): OriginInfo {
  return { origin, epoch, first: 1, last: 0, chain: NO_PREDECESSOR, lastHlc: 0, lastMs: 0, newestMs: 0 };
}

export function encodeOrigin({ epoch, last, chain, lastHlc, lastMs, newestMs }: OriginInfo): Uint8Array {
  const stored: StoredOrigin = {
    ...{ epoch, last, chain: Buffer.from(chain).toString('hex'), lastHlc },
    ...(lastMs === hlcMs(lastHlc) ? {} : { lastMs }),
    ...(newestMs === hlcMs(lastHlc) ? {} : { newestMs }),
  };
  return encodeJson(stored);
}

/** `first`: the lowest sequence whose batch is still stored; absent: none is. */
export function decodeOrigin(origin: string, bytes: Uint8Array, first?: number): OriginInfo {
  const { epoch, last, chain, lastHlc, ...times } = decodeJson<StoredOrigin>(bytes);
  const { lastMs = hlcMs(lastHlc), newestMs = hlcMs(lastHlc) } = times;
  return { origin, epoch, first: first ?? last + 1, last, chain: Buffer.from(chain, 'hex'), lastHlc, lastMs, newestMs };
}
