/**
 * Limits the idempotency keys of one client, so that it cannot fill the table of all. A client is named by its router: by its API key,
 * or without keys by its address, of IPv6 by the /64.
 *
 * Counted are the keys that this process accepted in the eight days for which records are kept, by day, and the bytes of their
 * records. The counts are in memory: a leader counts from its start on, and a new one from 0. Overshoots by what waits for its commit.
 */
import { Refusal } from '../../../shared/errors/errors.ts';
import type { Clock } from '../../../shared/kernel/kernel.ts';
import type { Log } from '../../../shared/observe/log.ts';
import type { Metrics } from '../../../shared/observe/metrics.ts';

const DAY_MS = 86_400_000;
/** Records are kept for seven days and removed within the eighth. */
const DAYS = 8;
/** Clients that are counted. */
const CLIENTS_LIMIT = 4_096;
/** How many are removed when a client is not among so many: those with the smallest shares. */
const CLIENTS_REMOVED = CLIENTS_LIMIT / 4;
/** Of a record, and of each further write of a bulk. */
const RECORD_BYTES = 150;
const WRITE_BYTES = 24;
/** Of its limit: from here on the log names the client. */
const LOGGED_SHARE = 1 / 2;

export interface ClientKeysOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Keys of one client; 0: no limit. */
  readonly limit: number;
  /** Bytes of the records of one client. */
  readonly limitBytes: number;
}

interface Day {
  readonly day: number;
  keys: number;
  bytes: number;
}

interface Used {
  keys: number;
  bytes: number;
}

export class ClientKeys {
  private readonly options: ClientKeysOptions;
  /** By client, oldest day first. */
  private readonly days = new Map<string, Day[]>();
  private readonly refused;

  constructor(options: ClientKeysOptions) {
    this.options = options;
    const { metrics, limit } = options;
    metrics.gauge({
      name: 'tidal_idempotency_client_share',
      help: 'Share of the limit of one client’s idempotency keys, or of their bytes, that the client with the most has used.',
      read: () => Math.max(0, ...[...this.days.keys()].map((client) => this.shareOf(client))),
    });
    metrics.gauge({
      name: 'tidal_idempotency_client_keys_limit',
      help: 'Idempotency keys that one client may have; 0: as many as all.',
      read: () => limit,
    });
    this.refused = metrics.counter({
      name: 'tidal_idempotency_client_refused_total',
      help: 'Writes under new keys refused because their client has as many as one may have.',
    });
  }

  /** Why this client's write under a new key is not accepted; undefined if it is. */
  refusalOf(client: string | undefined): Refusal | undefined {
    const { limit } = this.options;
    if (limit === 0 || client === undefined || this.shareOf(client) < 1) return undefined;
    this.refused.inc();
    return new Refusal(
      'client_keys_full',
      `${client} has used the ${limit} idempotency keys of one client, or the bytes for their records`,
      {
        hint: 'keys are removed after eight days; repeated writes and writes without a key are accepted. Or raise --client-idempotency-keys of the regions',
      },
    );
  }

  /** A request of so many writes was accepted under a new key. */
  accepted(client: string | undefined, writes: number): void {
    const { limit, clock, log } = this.options;
    if (limit === 0 || client === undefined) return;
    const before = this.shareOf(client);
    const day = Math.floor(clock.nowMs() / DAY_MS);
    const days = this.days.get(client) ?? this.add(client);
    let today = days.at(-1);
    if (today === undefined || today.day < day) {
      today = { day, keys: 0, bytes: 0 };
      days.push(today);
    }
    today.keys += 1;
    today.bytes += RECORD_BYTES + (writes - 1) * WRITE_BYTES;
    if (before >= LOGGED_SHARE || this.shareOf(client) < LOGGED_SHARE) return;
    log.warn('client has used half of its idempotency keys', { client, ...this.usedBy(client), limit });
  }

  private shareOf(client: string): number {
    const { limit, limitBytes } = this.options;
    const { keys, bytes } = this.usedBy(client);
    return Math.max(keys / limit, bytes / limitBytes);
  }

  private usedBy(client: string): Used {
    const used: Used = { keys: 0, bytes: 0 };
    const days = this.days.get(client);
    if (days === undefined) return used;
    const first = Math.floor(this.options.clock.nowMs() / DAY_MS) - DAYS;
    while (days[0] !== undefined && days[0].day < first) days.shift();
    for (const { keys, bytes } of days) {
      used.keys += keys;
      used.bytes += bytes;
    }
    return used;
  }

  private add(client: string): Day[] {
    if (this.days.size >= CLIENTS_LIMIT) {
      const shares = [...this.days.keys()].map((known) => [known, this.shareOf(known)] as const);
      shares.sort(([, a], [, b]) => a - b);
      for (const [known] of shares.slice(0, CLIENTS_REMOVED)) this.days.delete(known);
    }
    const days: Day[] = [];
    this.days.set(client, days);
    return days;
  }
}
