/** One whole region that leads alone, over HTTP, on a store and a stream in memory: for what its routes answer. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createRegion } from '../../../services/region/region.ts';
import { parseSchema } from '../../../services/region/schema/parse-schema.ts';
import type { OpenVectorWorker } from '../../../services/region/state/vectors/vector-worker.ts';
import { HEAD_LIMIT_BYTES } from '../../../shared/http/request-flaws.ts';
import { systemClock as clock, systemRandom as random } from '../../../shared/kernel/system.ts';
import { createMetrics } from '../../../shared/observe/metrics.ts';
import type { Metadata } from '../../../shared/protocol/events.ts';
import {
  formatRouterClock,
  isRefused,
  type RegionStatus,
  ROUTER_CLOCK_HEADER,
  type WritesReply,
} from '../../../shared/protocol/internal.ts';
import { toWire, type WireWrite } from '../../../shared/protocol/writes.ts';
import { type Answer, requestJson } from '../clients/request-json.ts';
import { eventually } from '../kernel/eventually.ts';
import { silentLog } from '../observe/silent-log.ts';
import { MemoryBroker } from '../stream/memory-stream.ts';
import { inProcessVectors } from './state/vectors/vector-in-process.ts';
import { MemoryStore } from './store/memory-store.ts';
import { MemoryStoreHome } from './store/memory-store-home.ts';

const NAME = 'us-east';
const EPOCH = 1;

export interface LeadingRegion {
  readonly url: string;
  /** The argument of `onFatal`. */
  readonly fatal: readonly unknown[];
  get<T = Record<string, unknown>>(path: string): Promise<Answer<T>>;
  /** A text is sent as it is. */
  post<T = Record<string, unknown>>(path: string, body: unknown): Promise<Answer<T>>;
  /** All applied when resolved; answers the last one's position. */
  write(...writes: readonly WireWrite[]): Promise<string>;
  put(entity: number, metadata: Metadata): Promise<string>;
  embed(entity: number, values: readonly number[]): Promise<string>;
  remove(entity: number): Promise<string>;
  metrics(): Promise<string>;
  stop(): Promise<void>;
}

export async function leadingRegion({
  schema,
  openVectors = inProcessVectors(),
}: {
  /** YAML. */
  readonly schema: string;
  readonly openVectors?: OpenVectorWorker;
}): Promise<LeadingRegion> {
  const broker = new MemoryBroker({ clock });
  const client = broker.connect(NAME);
  await eventually('the stream is there', () => client.stream.connected);
  await client.control.create({ leader: NAME, epoch: EPOCH, nonce: 'first' });
  const store = new MemoryStore();
  const fatal: unknown[] = [];
  const region = await createRegion({
    region: NAME,
    clock,
    random,
    log: silentLog,
    metrics: createMetrics({ process: 'region', name: NAME, nodeMetrics: false }),
    store,
    home: new MemoryStoreHome(store),
    onArrived: () => {},
    stream: client.stream,
    control: client.control,
    schema: parseSchema(schema, 'schema.yaml'),
    schemaFile: 'schema.yaml',
    openVectors,
    links: [],
    intakeQueueLimit: 100_000,
    intakeQueueBytes: 64 * 1024 * 1024,
    maxBodiesBytes: 64 * 1024 * 1024,
    logMaxBytes: 2 ** 40,
    logRetentionBytes: 2 ** 40,
    checkpointEvents: 1_000_000,
    checkpointIntervalMs: 600_000,
    idempotencyKeysLimit: 1_000,
    clientIdempotencyKeys: 0,
    maxBodyBytes: 2 ** 20,
    httpLimits: { inFlight: 1_000, arrivingBodies: 512, answersBytes: 128 * 1024 * 1024 },
    onFatal: (error) => fatal.push(error),
  });
  const server = createServer({ maxHeaderSize: HEAD_LIMIT_BYTES }, region.app.callback());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  region.start();
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  // As a router asks: it brings the clock that the region judges its own by.
  const headers = (): Record<string, string> => ({
    'content-type': 'application/json',
    [ROUTER_CLOCK_HEADER]: formatRouterClock({ router: 'router', clockMs: clock.nowMs() }),
  });
  const get = <T>(path: string): Promise<Answer<T>> => requestJson<T>(url + path, { headers: headers() });
  const post = <T>(path: string, body: unknown): Promise<Answer<T>> =>
    requestJson<T>(url + path, {
      method: 'POST',
      headers: headers(),
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });
  const write = async (...writes: readonly WireWrite[]): Promise<string> => {
    const { status, body } = await post<WritesReply>('/internal/writes', { epoch: EPOCH, atomic: true, writes });
    const last = status === 200 ? body.results.at(-1) : undefined;
    if (last === undefined || isRefused(last)) throw new Error(`not written: ${JSON.stringify(body)}`);
    return last.position;
  };
  await eventually('it leads', async () => {
    const { body } = await get<RegionStatus>('/internal/status');
    return body.role === 'leader' && body.ready;
  });
  return {
    url,
    fatal,
    get,
    post,
    write,
    put: (entity, metadata) => write({ k: 'i', e: entity, m: metadata }),
    embed: (entity, values) => write(toWire({ kind: 'embedding', entity, values: Float32Array.from(values) })),
    remove: (entity) => write({ k: 'd', e: entity }),
    metrics: async () => await (await fetch(`${url}/metrics`)).text(),
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await region.stop();
      await client.close();
      await broker.stop();
    },
  };
}
