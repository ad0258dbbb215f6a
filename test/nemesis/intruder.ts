/**
 * An intruder that can reach nats-server and the regions' own ports, past all wires, and sends what no part of the system would:
 * garbage on the stream, in the leadership key, and as requests. Nothing of it may be accepted. Messages that satisfy all rules
 * of a region's own message are not sent, because they could not be distinguished.
 */
import { connect, headers, type NatsConnection } from 'nats';
import { CHAIN_BYTES, chainHash, splitMessage } from '../../services/region/batch/batch.ts';
import type { Random } from '../../shared/kernel/kernel.ts';
import { HLC_PER_MS } from '../../shared/protocol/events.ts';
import { regionOf } from '../../shared/protocol/position.ts';
import { MAC_HEADER } from '../../shared/stream/settings.ts';
import { subjectOf } from '../../shared/stream/stream.ts';
import { internalHeaders, internalKeys } from '../harness/clients/internal.ts';
import { requestJson } from '../harness/clients/request-json.ts';
import { drawGarbage, type Garbage, rawBatch, rawSignal } from '../harness/hostile/garbage.ts';
import { hostileRecords } from '../harness/hostile/hostile-records.ts';
import { hostileRequests } from '../harness/hostile/hostile-requests.ts';
import { drawBetween, drawOne } from '../harness/kernel/seeded-random.ts';
import type { Cluster } from '../harness/processes/cluster.ts';

const ANSWER_LIMIT_MS = 2_000;
/** Above every epoch a cluster could have come to. */
const FAR_EPOCHS = [2_000_000, 500_000_000, Number.MAX_SAFE_INTEGER] as const;

/** What a request carries, and how it is refused. */
interface Token {
  readonly headers: Readonly<Record<string, string>>;
  readonly status: number;
}

const tokens: readonly Token[] = [
  { headers: internalHeaders, status: 400 },
  { headers: {}, status: 401 },
  { headers: { authorization: 'Bearer of-nobody' }, status: 401 },
];

/** The end of an origin, as a region has it. */
interface End {
  readonly origin: string;
  readonly first: number;
  /** Its last batch. */
  readonly bytes?: Uint8Array;
}

export class Intruder {
  /** Stored by nats-server. */
  messages = 0;
  records = 0;
  /** Requests that were answered: all refused. */
  requests = 0;
  private readonly cluster: Cluster;
  private readonly nats: NatsConnection;

  private constructor(cluster: Cluster, nats: NatsConnection) {
    this.cluster = cluster;
    this.nats = nats;
  }

  static async enter(cluster: Cluster): Promise<Intruder> {
    const nats = await connect({ servers: cluster.nats.url, maxReconnectAttempts: -1, reconnectTimeWait: 100 });
    return new Intruder(cluster, nats);
  }

  leave(): Promise<void> {
    return this.nats.close();
  }

  /** About the origin of `position`, about others and about none. Returns how many messages the stream has taken. */
  async publish(random: Random, count: number, position: string | undefined): Promise<number> {
    const end = position === undefined ? undefined : await this.endOf(position);
    let taken = 0;
    for (let left = count; left > 0; left--) {
      const { origin, bytes } = this.drawMessage(random, end);
      const subject = drawOne(random, [subjectOf(origin), `tidal.wal.${origin}`]);
      // As a region with a bug would publish it, or as a client without the internal secret.
      const mac = drawBetween(random, 0, 1) === 0 ? internalKeys.macOf(regionOf(origin), bytes) : undefined;
      if (await this.store(subject, bytes, mac)) taken += 1;
    }
    this.messages += taken;
    return taken;
  }

  /** Returns how many values the key has taken. */
  async overwriteKey(random: Random, count: number): Promise<number> {
    let taken = 0;
    for (let left = count; left > 0; left--) {
      const [, value] = drawOne(random, hostileRecords);
      const text = typeof value === 'string' ? value : JSON.stringify(value);
      const bytes = Buffer.from(text);
      const mac = drawBetween(random, 0, 1) === 0 ? internalKeys.controlMacOf('leadership', bytes) : undefined;
      if (await this.store('$KV.TIDAL_CONTROL.leadership', bytes, mac)) taken += 1;
    }
    this.records += taken;
    return taken;
  }

  /** Returns how many requests were answered. Throws where one was not refused. */
  async request(random: Random, count: number, region: string): Promise<number> {
    const drawn = Array.from({ length: count }, () => drawOne(random, hostileRequests));
    const answers = await Promise.all(
      drawn.map(([path, body]) => this.ask(region, path, body, drawOne(random, tokens))),
    );
    const answered = answers.filter((answer) => answer).length;
    this.requests += answered;
    return answered;
  }

  private drawMessage(random: Random, end: End | undefined): Garbage {
    const {
      origin,
      first = 2,
      bytes = undefined,
    } = end ?? { origin: `${drawOne(random, this.cluster.regionNames)}@bbbbbbbbbbbbb` };
    const chain = bytes === undefined ? {} : { chain: chainHash(bytes) };
    const region = regionOf(origin);
    switch (drawBetween(random, 0, 7)) {
      case 0:
        return drawGarbage(random, { origin: `${drawOne(random, this.cluster.regionNames)}@bbbbbbbbbbbbb` });
      case 1:
        return drawGarbage(random, { origin: 'evil@aaaaaaaaaaaaa' });
      case 2:
        return forged(`${region}@ccccccccccccc`, { epoch: drawOne(random, FAR_EPOCHS) });
      case 3:
        return forged('evil@aaaaaaaaaaaaa', {});
      case 4:
        return forged(origin, { first, chain: random.bytes(CHAIN_BYTES) });
      default:
        return drawGarbage(random, { origin, first, ...chain }, bytes);
    }
  }

  private async store(subject: string, bytes: Uint8Array, mac?: string): Promise<boolean> {
    const sent = headers();
    if (mac !== undefined) sent.set(MAC_HEADER, mac);
    try {
      const answer = await this.nats.request(subject, bytes, { timeout: ANSWER_LIMIT_MS, headers: sent });
      return answer.json<{ error?: unknown }>().error === undefined;
    } catch {
      // The server is away, or has no stream at present.
      return false;
    }
  }

  private async endOf(position: string): Promise<End> {
    const at = position.lastIndexOf(':');
    const [origin, last] = [position.slice(0, at), Number(position.slice(at + 1))];
    const end = { origin, first: last + 1 };
    const url = `${this.cluster.regionUrls.get(regionOf(origin))}/internal/log/${origin}?from=${last}`;
    try {
      const response = await fetch(url, { headers: internalHeaders, signal: AbortSignal.timeout(ANSWER_LIMIT_MS) });
      const bytes = splitMessage(new Uint8Array(await response.arrayBuffer())).at(-1);
      return bytes === undefined ? end : { ...end, bytes };
    } catch {
      return end;
    }
  }

  private async ask(region: string, path: string, body: unknown, token: Token): Promise<boolean> {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    let status: number;
    try {
      ({ status } = await requestJson(this.cluster.regionUrls.get(region)! + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...token.headers },
        body: text,
      }));
    } catch {
      // The region is away.
      return false;
    }
    // 503: not ready, whatever is asked.
    if (status !== token.status && status !== 503) throw new Error(`${region} answered ${status} to ${path} ${text}`);
    return true;
  }
}

/** Whole in itself: only what it claims is wrong. */
function forged(origin: string, claim: { epoch?: number; first?: number; chain?: Uint8Array }): Garbage {
  const bytes = rawBatch({
    origin,
    hlc: Date.now() * HLC_PER_MS,
    signals: ['view'],
    events: [rawSignal(9_000)],
    ...claim,
  });
  return { name: 'a forged batch', origin, bytes };
}
