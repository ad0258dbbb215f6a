/**
 * An intruder with access to all internal interfaces: it publishes to the stream, writes into the control bucket, posts to a
 * region's own port. Nothing of it is valid, so nothing of it may have an effect; a program of another release, or a bug of this
 * one, does the same, with the right MAC and token. Without them also what is right in every other respect is refused.
 */
import { HLC_PER_MS } from '../../shared/protocol/events.ts';
import { regionOf } from '../../shared/protocol/position.ts';
import { drawGarbage, type Garbage, rawBatch, rawSignal, type Target } from '../harness/hostile/garbage.ts';
import { hostileRequests } from '../harness/hostile/hostile-requests.ts';
import type { Chance } from './chance.ts';
import type { Origin } from './chronicle.ts';
import { FORGED, internalKeys } from './credentials.ts';
import type { RegionMachine } from './region-machine.ts';
import { Violation } from './violation.ts';
import { regionNames, type World } from './world.ts';

const YEAR_MS = 365 * 86_400_000;
const HIGHEST = 2 ** 53 - 1;

/** Of an existing origin, or of one that was never opened. */
export type Into = 'the present origin' | 'an old origin' | 'a forged origin';

/** `absurd`: whole and well-formed, of a clock or an epoch that cannot be. */
export function publishGarbage(world: World, into: Into, draw: number, isAbsurd: boolean): void {
  const { broker, chronicle, holdings } = world;
  const chance = world.chance.fork(`garbage ${draw}`);
  const { stream } = broker;
  if (stream === undefined || !broker.up) return;
  const known = [...chronicle.origins.values()];
  const origin =
    into === 'the present origin' ? known.at(-1) : into === 'an old origin' ? chance.pick(known) : undefined;
  const garbage = isAbsurd ? absurd(world, chance, origin) : undefined;
  const some = [...stream.messages.values()];
  const genuine = some.length === 0 ? undefined : chance.pick(some).bytes;
  const drawn = garbage ?? drawGarbage(chance, targetOf(chance, origin), genuine);
  const ways = world.chance.fork(`mac ${draw}`);
  const way = ways.pick(['signed', 'signed', 'unsigned', 'of another region', 'forged', 'forged'] as const);
  const { name, origin: subject, bytes } = way === 'forged' && !isAbsurd ? forgery(world, ways, origin) : drawn;
  const mac =
    way === 'signed' ? macOf(regionOf(subject), bytes) : way === 'unsigned' ? undefined : macOf('mars', bytes);
  world.intruded = true;
  world.note('intruder', `publishes ${name} as ${subject}, ${way}`);
  holdings.isGarbage(broker.publish(subject, bytes, mac));
}

function targetOf(chance: Chance, origin: Origin | undefined): Target {
  if (origin === undefined)
    return { origin: `${chance.pick(regionNames)}@${'abcdefg'.charAt(chance.below(7)).repeat(13)}` };
  return { origin: origin.name, epoch: origin.epoch, first: origin.events.length + 1, chain: origin.chain };
}

function macOf(region: string, bytes: Uint8Array): string | undefined {
  return internalKeys.macOf(region, bytes);
}

/** What the region itself could publish next, except for its MAC. */
function forgery(world: World, chance: Chance, present: Origin | undefined): Garbage {
  const { origin, epoch = 1, first = 1, chain } = targetOf(chance, present);
  return {
    name: 'a batch that only its MAC betrays',
    origin,
    bytes: rawBatch({
      ...{ origin, first, epoch, schemaHash: world.schema.hash, signals: ['view'], events: [rawSignal(1_000)] },
      ...(chain === undefined ? {} : { chain }),
      hlc: Math.floor(world.wallMs()) * HLC_PER_MS,
    }),
  };
}

/** Whole and well-formed, with an epoch or a clock that cannot be, or in place of what follows another batch. */
function absurd(world: World, chance: Chance, present: Origin | undefined): Garbage {
  const { origin, epoch = 1, first = 1, chain } = targetOf(chance, present);
  const highest = Math.max(...[...world.chronicle.origins.values()].map((known) => known.epoch), epoch);
  const what = chance.pick(present === undefined ? (['epoch', 'clock'] as const) : (['chain', 'clock'] as const));
  const aheadMs = what === 'clock' ? chance.pick([100, 400]) * YEAR_MS : 0;
  return {
    name: `a batch of a ${what} that cannot be`,
    origin,
    bytes: rawBatch({
      origin,
      first,
      ...(chain === undefined ? {} : { chain: what === 'chain' ? chance.bytes(chain.length) : chain }),
      epoch: what === 'epoch' ? chance.pick([highest + 2_000_000, 2 ** 40, HIGHEST]) : epoch,
      hlc: Math.floor(world.wallMs() + aheadMs) * HLC_PER_MS,
      schemaHash: world.schema.hash,
      signals: ['view'],
      events: [rawSignal(1_000)],
    }),
  };
}

const keyGarbage: readonly string[] = [
  '',
  'garbage',
  'null',
  '[]',
  '5',
  '{}',
  '{"leader":"mars","epoch":2,"nonce":"n"}',
  '{"leader":"us-east","epoch":0,"nonce":"n"}',
  '{"leader":"us-east","epoch":1.5,"nonce":"n"}',
  '{"leader":"us-east","epoch":"7","nonce":"n"}',
  '{"leader":7,"epoch":2,"nonce":"n"}',
  '{"leader":"eu-west","epoch":9007199254740991,"nonce":"n"}',
  '{"leader":"us-east","epoch":9007199254740992,"nonce":"n"}',
  '{"leader":"eu-west","epoch":1000000000000,"nonce":"n"}',
  '{"leader":"eu-west","epoch":3}',
  '{"leader":"eu-west","epoch":3,"nonce":"n","handover":{"to":"mars","id":"i"}}',
  '{"leader":"eu-west","epoch":3,"nonce":"n","handover":5}',
  '{"region":"us-east","partitioned":"yes","clockMs":null}',
  '{"holder":{}}',
];

/** What a process of the cluster could write there, except for its MAC. */
function forgedValue(world: World, chance: Chance, key: string): string {
  if (key === 'lease') return JSON.stringify({ holder: 'forger' });
  const region = chance.pick(regionNames);
  if (key !== 'leadership') return JSON.stringify({ region, partitioned: true, clockMs: Math.floor(world.wallMs()) });
  const highest = Math.max(...[...world.chronicle.origins.values()].map((known) => known.epoch), 0);
  return JSON.stringify({
    leader: region,
    epoch: highest + 1 + chance.below(3),
    nonce: `${FORGED}${chance.below(1_000_000)}`,
  });
}

export function putGarbageKey(world: World, key: string, draw: number): void {
  const chance = world.chance.fork(`garbage ${draw}`);
  if (!world.broker.up || world.broker.bucket === undefined) return;
  const ways = world.chance.fork(`mac of a value ${draw}`);
  const way = ways.pick(['signed', 'unsigned', 'of another key', 'forged', 'forged'] as const);
  const text = way === 'forged' ? forgedValue(world, ways, key) : chance.pick(keyGarbage);
  const of = way === 'signed' ? key : ways.pick(['lease', 'alive.mars', 'leadership'].filter((each) => each !== key));
  const mac = way === 'unsigned' ? undefined : internalKeys.controlMacOf(of, Buffer.from(text));
  world.intruded = true;
  world.note('intruder', `writes ${text} into ${key}, ${way}`);
  world.broker.writeKey(key, text, mac);
}

/** A refusal is judged where it is given: nothing of the region is another than before. */
export async function postGarbage(world: World, region: RegionMachine, draw: number): Promise<void> {
  const chance = world.chance.fork(`garbage ${draw}`);
  const [path, body] = chance.pick(hostileRequests);
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const { name, life } = region;
  if (life?.alive !== true || life.standsStill) return;
  const before = await stateOf(world, region);
  const headers = { ...internalKeys.headers, 'content-type': 'application/json' };
  const reply = await world.network.look(name, { method: 'POST', path, headers, body: text });
  world.note('intruder', `posts ${text} to ${name}${path}: ${reply?.status ?? 'no answer'}`);
  if (reply === undefined || before === undefined) return;
  world.check(() => {
    if (reply.status >= 400 && reply.status !== 500) return;
    const what = `${name} answered ${reply.status} to ${path} ${text}: ${reply.body.toString()}`;
    throw new Violation('malformed requests are refused', what);
  });
  const after = await stateOf(world, region);
  world.check(() => {
    if (after === undefined || after === before) return;
    throw new Violation('a refusal changes nothing', `${path} ${text} made of ${before}: ${after}`);
  });
}

/** All a region says of itself, and how often it has written to its disk. */
async function stateOf(world: World, { name, store }: RegionMachine): Promise<string | undefined> {
  const reply = await world.network.look(name, {
    method: 'GET',
    path: '/internal/status',
    headers: internalKeys.headers,
  });
  return reply?.status === 200 ? `${reply.body.toString()} after ${store.commits} commits` : undefined;
}
