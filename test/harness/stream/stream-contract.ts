/**
 * The promises of every implementation of `Stream` and `Control`. Runs against a real server (`test/cluster/jetstream.test.ts`)
 * and against every replacement for it.
 */
import assert from 'node:assert/strict';
import type { Fault } from '../../../shared/errors/errors.ts';
import type {
  Control,
  ControlEntry,
  ControlKeys,
  Stream,
  StreamMessage,
  Subscription,
  SubscriptionEnd,
} from '../../../shared/stream/stream.ts';
import { eventually } from '../kernel/eventually.ts';

export interface Client {
  readonly stream: Stream;
  readonly control: Control;
  readonly keys: ControlKeys;
  close(): Promise<void>;
}

/** A broker under test and what can be done to it. */
export interface Broker {
  /** A new client, which connects in the background. */
  connect(name: string): Client;
  kill(): Promise<void>;
  /** After `kill`, or in one go. With `wiped`, nothing is left of stream and bucket. */
  restart(options?: { wiped?: boolean }): Promise<void>;
  /** Copies the broker's disk aside, and restores the copy: everything in between is lost to it. */
  backUp(): Promise<void>;
  restoreBackup(): Promise<void>;
  pause(): void;
  resume(): void;
  deleteStream(): Promise<void>;
  purgeStream(): Promise<void>;
  /** Limits the stream's messages to 10 bytes, as an operator's tool could. */
  changeSettings(): Promise<void>;
  /** Deletes the control bucket under the clients' feet. */
  deleteBucket(): Promise<void>;
  stop(): Promise<void>;
}

const a = 'us-east@aaaaaaaaaa';
const b = 'eu-west@bbbbbbbbbb';

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function textOf(message: StreamMessage | undefined): string | undefined {
  return message === undefined ? undefined : new TextDecoder().decode(message.bytes);
}

function hasCode(code: string): (error: unknown) => boolean {
  return (error) => (error as Fault).code === code;
}

export function streamContract(name: string, start: () => Promise<Broker>): void {
  describe(`stream contract: ${name}`, function () {
    this.timeout(20_000);
    let broker: Broker;
    let clients: Client[] = [];

    async function open(clientName = 'contract'): Promise<Client> {
      const client = broker.connect(clientName);
      clients.push(client);
      await connected(client);
      await client.stream.ensure();
      return client;
    }

    function connected(client: Client): Promise<void> {
      return eventually('the client is connected', () => client.stream.connected);
    }

    async function put(stream: Stream, origin: string, text: string, expectedLast: number): Promise<number> {
      const result = await stream.publish(origin, bytesOf(text), expectedLast);
      assert.ok('sequence' in result, JSON.stringify(result));
      return result.sequence;
    }

    beforeEach(async () => {
      broker = await start();
    });

    afterEach(async () => {
      broker.resume();
      await Promise.all(clients.map((client) => client.close()));
      clients = [];
      await broker.stop();
    });

    describe('connection', () => {
      it('construction does not wait, calls without a connection fail at once, and it connects when the server is there', async () => {
        await broker.kill();
        const client = broker.connect('early');
        clients.push(client);
        assert.equal(client.stream.connected, false);
        assert.equal(client.stream.messageLimitBytes, 0);
        await assert.rejects(client.stream.info(), hasCode('stream_unavailable'));
        await assert.rejects(client.control.read(), hasCode('control_unavailable'));
        const result = await client.stream.publish(a, bytesOf('x'), 0);
        assert.equal('failure' in result && result.failure, 'unknown');
        await broker.restart();
        await connected(client);
        assert.ok(client.stream.messageLimitBytes >= 512 * 1024, String(client.stream.messageLimitBytes));
      });

      it('reconnects each time the server returns, and notifies its listeners of every change', async () => {
        const { stream } = await open();
        const seen: boolean[] = [];
        const remove = stream.onConnection((state) => seen.push(state));
        for (const round of [1, 2, 3]) {
          await broker.kill();
          await eventually('the loss is noticed', () => !stream.connected);
          await broker.restart();
          await eventually('connected again', () => stream.connected);
          assert.equal((await stream.info()).last, 0, `round ${round}`);
        }
        assert.deepEqual(seen, [false, true, false, true, false, true]);
        remove();
        await broker.kill();
        await eventually('the loss is noticed', () => !stream.connected);
        assert.equal(seen.length, 6);
      });
    });

    describe('stream', () => {
      it('ensure is idempotent, and what the stream does not hold is undefined', async () => {
        const { stream } = await open();
        await stream.ensure();
        const info = await stream.info();
        assert.deepEqual([info.first, info.last], [1, 0]);
        assert.notEqual(info.created, '');
        assert.equal(await stream.message(1), undefined);
        assert.equal(await stream.lastOf(a), undefined);
      });

      it('a missing stream is distinguished from a missing server', async () => {
        const { stream } = await open();
        await broker.deleteStream();
        await assert.rejects(stream.info(), hasCode('stream_missing'));
        await assert.rejects(stream.message(1), hasCode('stream_missing'));
        await assert.rejects(stream.lastOf(a), hasCode('stream_missing'));
        await assert.rejects(
          stream.subscribe({ from: 1, onMessage: async () => {}, onSubscriptionEnd: () => {} }),
          hasCode('stream_missing'),
        );
      });

      it('publishes behind the expected last message of the subject only', async () => {
        const { stream } = await open();
        const first = await put(stream, a, 'a1', 0);
        const other = await put(stream, b, 'b1', 0);
        const second = await put(stream, a, 'a2', first);
        assert.deepEqual([first, other, second], [1, 2, 3]);
        for (const wrong of [0, first, other, 99]) {
          const result = await stream.publish(a, bytesOf('a3'), wrong);
          assert.equal('failure' in result && result.failure, 'wrong_last', `expected ${wrong}`);
        }
        assert.equal((await stream.info()).last, 3);
      });

      it("the mark is read back from the stream: the subject's last message, with its bytes", async () => {
        const { stream } = await open();
        const first = await put(stream, a, 'a1', 0);
        await put(stream, a, 'a2', first);
        await put(stream, b, 'b1', 0);
        const last = await stream.lastOf(a);
        assert.deepEqual([last?.sequence, last?.origin, textOf(last)], [2, a, 'a2']);
        const message = await stream.message(3);
        assert.deepEqual([message?.sequence, message?.origin, textOf(message)], [3, b, 'b1']);
        assert.equal(await stream.message(4), undefined);
      });

      it('after a purge none is left: the mark is 0 again and sequences continue', async () => {
        const { stream } = await open();
        const first = await put(stream, a, 'a1', 0);
        await put(stream, a, 'a2', first);
        const { created } = await stream.info();
        await broker.purgeStream();
        assert.equal(await stream.lastOf(a), undefined);
        assert.equal(await put(stream, a, 'a3', 0), 3);
        assert.deepEqual(await stream.info(), { created, first: 3, last: 3 });
      });

      it('carries and gives back the largest message the core makes', async () => {
        const { stream } = await open();
        const size = Math.min(768 * 1024, stream.messageLimitBytes);
        const bytes = Uint8Array.from({ length: size }, (_, index) => (index * 31) & 255);
        const result = await stream.publish(a, bytes, 0);
        assert.ok('sequence' in result, JSON.stringify(result));
        assert.deepEqual(Buffer.compare((await stream.lastOf(a))?.bytes ?? new Uint8Array(), bytes), 0);
      });

      it('messages and `created` survive a kill of the server; `created` changes when the stream is recreated', async () => {
        const { stream } = await open();
        await put(stream, a, 'a1', 0);
        const { created } = await stream.info();
        await broker.kill();
        await broker.restart();
        await eventually('connected', () => stream.connected);
        await eventually('the stream is recovered', async () => (await stream.info()).last === 1);
        assert.equal((await stream.info()).created, created);
        await broker.deleteStream();
        await stream.ensure();
        const anew = await stream.info();
        assert.notEqual(anew.created, created);
        assert.equal(anew.last, 0);
      });
    });

    describe('publish without an answer', () => {
      it('a publish in flight when the server is killed is unknown at once', async () => {
        const { stream } = await open();
        broker.pause();
        const began = performance.now();
        const publishing = stream.publish(a, bytesOf('a1'), 0);
        await broker.kill();
        const result = await publishing;
        assert.equal('failure' in result && result.failure, 'unknown');
        assert.ok(performance.now() - began < 1_500, 'it did not wait for its time-out');
      });

      it('a publish that timed out against a paused server can land later, so that the mark must be read again', async () => {
        const { stream } = await open();
        broker.pause();
        const began = performance.now();
        const result = await stream.publish(a, bytesOf('late'), 0);
        const tookMs = performance.now() - began;
        assert.equal('failure' in result && result.failure, 'unknown');
        assert.ok(tookMs > 1_500 && tookMs < 3_500, `timed out after ${tookMs} ms`);
        broker.resume();
        await eventually('it landed', async () => textOf(await stream.lastOf(a)) === 'late');
        const again = await stream.publish(a, bytesOf('late'), 0);
        assert.equal('failure' in again && again.failure, 'wrong_last');
        assert.equal((await stream.info()).last, 1);
      });

      it('a black hole is noticed by pings, also with a socket full of publishes, every call fails at once meanwhile, and it ends', async () => {
        const { stream } = await open();
        broker.pause();
        const large = new Uint8Array(Math.min(700_000, stream.messageLimitBytes));
        const publishing = Array.from({ length: 16 }, (_, i) =>
          stream.publish(`us-east@${'a'.repeat(10 + i)}`, large, 0),
        );
        await eventually('the black hole is noticed', () => !stream.connected, 9_000);
        for (const result of await Promise.all(publishing)) {
          assert.equal('failure' in result && result.failure, 'unknown');
        }
        const began = performance.now();
        await assert.rejects(stream.info(), hasCode('stream_unavailable'));
        assert.ok(performance.now() - began < 500);
        broker.resume();
        await eventually('connected again', () => stream.connected);
        const { last } = await stream.info();
        const next = await stream.publish(b, bytesOf('next'), 0);
        assert.ok('sequence' in next && next.sequence > last, JSON.stringify(next));
      });
    });

    describe('subscription', () => {
      interface Seen {
        readonly texts: string[];
        readonly sequences: number[];
        readonly ends: [SubscriptionEnd, string][];
        readonly subscription: Subscription;
      }

      async function subscribe(
        stream: Stream,
        from: number,
        onMessage?: (m: StreamMessage) => Promise<void>,
      ): Promise<Seen> {
        const texts: string[] = [];
        const sequences: number[] = [];
        const ends: [SubscriptionEnd, string][] = [];
        const subscription = await stream.subscribe({
          from,
          onMessage: async (message) => {
            texts.push(textOf(message) ?? '');
            sequences.push(message.sequence);
            await onMessage?.(message);
          },
          onSubscriptionEnd: (reason, detail) => ends.push([reason, detail]),
        });
        return { texts, sequences, ends, subscription };
      }

      async function fill(stream: Stream, count: number): Promise<void> {
        let last = (await stream.lastOf(a))?.sequence ?? 0;
        for (let i = 0; i < count; i++) last = await put(stream, a, `m${last + 1}`, last);
      }

      it('delivers from the requested sequence, every origin, in stream order, then new messages', async () => {
        const { stream } = await open();
        await fill(stream, 300);
        const seen = await subscribe(stream, 101);
        await eventually('the old ones', () => seen.sequences.length === 200);
        await put(stream, b, 'b', 0);
        await fill(stream, 2);
        await eventually('the new ones', () => seen.sequences.length === 203);
        assert.deepEqual(
          seen.sequences,
          Array.from({ length: 203 }, (_, i) => 101 + i),
        );
        assert.equal(seen.texts[200], 'b');
        assert.equal(seen.texts[0], 'm101');
        assert.deepEqual(seen.ends, []);
        await seen.subscription.close();
      });

      it('delivers one at a time, however slow the receiver', async () => {
        const { stream } = await open();
        await fill(stream, 20);
        let inside = 0;
        let most = 0;
        const seen = await subscribe(stream, 1, async () => {
          most = Math.max(most, ++inside);
          await stream.info();
          inside--;
        });
        await eventually('all', () => seen.sequences.length === 20);
        assert.equal(most, 1);
        await seen.subscription.close();
      });

      it('after close nothing is delivered, and close waits for the delivery in progress', async () => {
        const { stream } = await open();
        await fill(stream, 20);
        let release = (): void => {};
        let ended = false;
        const seen = await subscribe(stream, 1, async () => {
          await new Promise<void>((resolve) => {
            release = resolve;
          });
          ended = true;
        });
        await eventually('the first', () => seen.sequences.length === 1);
        const closing = seen.subscription.close();
        setImmediate(() => release());
        await closing;
        assert.equal(ended, true);
        await fill(stream, 1);
        await stream.info();
        assert.deepEqual([seen.sequences, seen.ends], [[1], []]);
        await seen.subscription.close();
      });

      it('an exception of the receiver ends the subscription with its text', async () => {
        const { stream } = await open();
        await fill(stream, 3);
        const seen = await subscribe(stream, 1, async ({ sequence }) => {
          if (sequence === 2) throw new Error('the schema is behind');
        });
        await eventually('ends', () => seen.ends.length > 0);
        assert.deepEqual(seen.ends, [['error', 'the schema is behind']]);
        assert.deepEqual(seen.sequences, [1, 2]);
      });

      it('ends the subscription when the server is killed; subscribed anew behind the last, nothing is lost or doubled', async () => {
        const { stream } = await open();
        await fill(stream, 10);
        const before = await subscribe(stream, 1);
        await eventually('ten', () => before.sequences.length === 10);
        await broker.kill();
        await eventually('ends', () => before.ends.length > 0);
        assert.equal(before.ends[0]?.[0], 'disconnected');
        await broker.restart();
        await eventually('connected', () => stream.connected);
        await eventually('the stream is recovered', async () => (await stream.info()).last === 10);
        await fill(stream, 10);
        const after = await subscribe(stream, 11);
        await eventually('ten more', () => after.sequences.length === 10);
        assert.deepEqual(
          [...before.sequences, ...after.sequences],
          Array.from({ length: 20 }, (_, i) => i + 1),
        );
        assert.equal(before.ends.length, 1);
        await after.subscription.close();
      });

      it('ends the subscription when the server stops answering', async () => {
        const { stream } = await open();
        const seen = await subscribe(stream, 1);
        broker.pause();
        await eventually('ends', () => seen.ends.length > 0, 9_000);
        assert.ok(['heartbeats_missed', 'disconnected'].includes(seen.ends[0]?.[0] ?? ''), `${seen.ends[0]}`);
      });

      it('ends the subscription when the stream is deleted', async () => {
        const { stream } = await open();
        await fill(stream, 1);
        const seen = await subscribe(stream, 1);
        await eventually('the first', () => seen.sequences.length === 1);
        await broker.deleteStream();
        await eventually('ends', () => seen.ends.length > 0);
        assert.equal(seen.ends[0]?.[0], 'stream_gone');
      });

      it('a stream deleted and recreated is not taken for the old one: it ends the subscription, and subscribed anew sees all', async () => {
        const { stream } = await open();
        await fill(stream, 20);
        const seen = await subscribe(stream, 21);
        await broker.purgeStream();
        await broker.deleteStream();
        await stream.ensure();
        await fill(stream, 5);
        await eventually('ends', () => seen.ends.length > 0);
        assert.ok(['stream_gone', 'consumer_gone'].includes(seen.ends[0]?.[0] ?? ''), `${seen.ends[0]}`);
        assert.deepEqual(seen.sequences, []);
        const anew = await subscribe(stream, 1);
        await eventually('the five', () => anew.sequences.length === 5);
        await anew.subscription.close();
      });
    });

    it('a changed setting of the stream is named, restored if requested, and then right', async () => {
      const { stream } = await open();
      assert.deepEqual(await stream.checkSettings(false), []);
      await broker.changeSettings();
      const what = 'max_msg_size of TIDAL_WAL is 10, not -1';
      assert.deepEqual(await stream.checkSettings(false), [{ what, outcome: 'left' }]);
      assert.deepEqual(await stream.checkSettings(true), [{ what, outcome: 'mended' }]);
      assert.deepEqual(await stream.checkSettings(true), []);
      await put(stream, a, 'more than ten bytes', 0);
    });

    describe('control', () => {
      it('is missing, is created once, is read and updated under its revision only', async () => {
        const { control } = await open('one');
        const { control: other } = await open('two');
        assert.equal(await control.read(), 'missing');
        const created = await control.create({ epoch: 1 });
        assert.ok(created !== 'conflict');
        assert.equal(await other.create({ epoch: 9 }), 'conflict');
        assert.deepEqual(await other.read(), { revision: created.revision, value: { epoch: 1 } });
        const updated = await other.update({ epoch: 2 }, created.revision);
        assert.ok(updated !== 'conflict' && updated.revision !== created.revision);
        assert.equal(await control.update({ epoch: 3 }, created.revision), 'conflict');
        assert.deepEqual(await control.read(), { revision: updated.revision, value: { epoch: 2 } });
      });

      it('of two updates under one revision exactly one succeeds', async () => {
        const { control } = await open('one');
        const { control: other } = await open('two');
        const created = await control.create({ n: 0 });
        assert.ok(created !== 'conflict');
        assert.equal(((await other.read()) as ControlEntry).revision, created.revision);
        const results = await Promise.all([
          control.update({ n: 1 }, created.revision),
          other.update({ n: 2 }, created.revision),
        ]);
        assert.equal(results.filter((result) => result === 'conflict').length, 1);
      });

      it('survives a kill of the server; an update without an answer is a fault, not a conflict', async () => {
        const { stream, control } = await open();
        const created = await control.create({ epoch: 1 });
        assert.ok(created !== 'conflict');
        await broker.kill();
        await eventually('the loss is noticed', () => !stream.connected);
        await assert.rejects(control.update({ epoch: 2 }, created.revision), hasCode('control_unavailable'));
        await broker.restart();
        await eventually('connected', () => stream.connected);
        await eventually('the record is there', async () => (await control.read()) !== 'missing');
        assert.deepEqual(await control.read(), { revision: created.revision, value: { epoch: 1 } });
      });

      it('is missing after a wipe, reading does not recreate it, and a revision of before is a conflict', async () => {
        const { stream, control } = await open();
        const old = await control.create({ epoch: 7 });
        assert.ok(old !== 'conflict');
        await broker.kill();
        await broker.restart({ wiped: true });
        await eventually('connected', () => stream.connected);
        await eventually('the answer is missing', async () => (await control.read()) === 'missing');
        assert.equal(await control.update({ epoch: 8 }, old.revision), 'conflict');
        assert.equal(await control.read(), 'missing');
        const { control: other } = await open('other');
        assert.ok((await other.create({ epoch: 1 })) !== 'conflict');
        assert.equal(await control.update({ epoch: 8 }, old.revision), 'conflict');
        assert.deepEqual(((await control.read()) as { value: unknown }).value, { epoch: 1 });
      });

      it('keys are apart: each has its own value and revision, and one made first leaves the others missing', async () => {
        const { control, keys } = await open('one');
        const { control: other, keys: otherKeys } = await open('two');
        const alive = keys('alive.us-east');
        let beat = await alive.create({ n: 0 });
        assert.equal(await control.read(), 'missing');
        const led = await control.create({ epoch: 1 });
        assert.ok(led !== 'conflict');
        for (let n = 1; n <= 40; n++) {
          assert.ok(beat !== 'conflict');
          beat = await alive.update({ n }, beat.revision);
        }
        assert.ok(beat !== 'conflict');
        assert.deepEqual(await otherKeys('alive.us-east').read(), { revision: beat.revision, value: { n: 40 } });
        assert.equal(await otherKeys('alive.eu-west').read(), 'missing');
        assert.deepEqual(await other.read(), { revision: led.revision, value: { epoch: 1 } });
        assert.equal(await control.update({ epoch: 2 }, beat.revision), 'conflict', 'a revision of another key');
        assert.ok((await control.update({ epoch: 2 }, led.revision)) !== 'conflict');
      });

      it('a bucket lost and recreated under a live connection does not accept a revision of the lost one (ABA)', async () => {
        const { control } = await open('one');
        const { control: other } = await open('two');
        const old = await control.create({ epoch: 7 });
        assert.ok(old !== 'conflict');
        await broker.deleteBucket();
        const anew = await other.create({ epoch: 1 });
        assert.ok(anew !== 'conflict');
        assert.equal(await control.update({ epoch: 8 }, old.revision), 'conflict');
        assert.deepEqual(await other.read(), { revision: anew.revision, value: { epoch: 1 } });
      });

      it('a client that has read the recreated bucket does not accept a revision of the lost one, whatever its number', async () => {
        const { control } = await open('one');
        const { control: other } = await open('two');
        const created = await control.create({ leader: 'us-east', nonce: 'a' });
        assert.ok(created !== 'conflict');
        const announced = await control.update({ leader: 'us-east', nonce: 'b' }, created.revision);
        assert.ok(announced !== 'conflict');
        await broker.deleteBucket();
        const anew = await other.create({ leader: 'us-east', nonce: 'c' });
        assert.ok(anew !== 'conflict');
        // The second write of its bucket too.
        const second = await other.update({ leader: 'us-east', nonce: 'd' }, anew.revision);
        assert.ok(second !== 'conflict');
        assert.deepEqual(await control.read(), await other.read());
        assert.equal(await control.update({ leader: 'eu-west', nonce: 'e' }, announced.revision), 'conflict');
        assert.deepEqual(await other.read(), { revision: second.revision, value: { leader: 'us-east', nonce: 'd' } });
        assert.ok((await control.update({ leader: 'eu-west', nonce: 'f' }, second.revision)) !== 'conflict');
      });

      it('a restored older copy of the bucket does not accept a revision of after the copy, whatever its number', async () => {
        const one = await open('one');
        const two = await open('two');
        const created = await one.control.create({ leader: 'us-east', nonce: 'a' });
        assert.ok(created !== 'conflict');
        await broker.backUp();
        await eventually('connected again', () => one.stream.connected && two.stream.connected);
        const announced = await one.control.update({ leader: 'us-east', nonce: 'b' }, created.revision);
        assert.ok(announced !== 'conflict');
        await broker.restoreBackup();
        await eventually('connected again', () => one.stream.connected && two.stream.connected);
        await eventually('the copy is read', async () => {
          const entry = await two.control.read();
          return entry !== 'missing' && entry.revision === created.revision;
        });
        assert.equal(await one.control.update({ leader: 'eu-west', nonce: 'e' }, announced.revision), 'conflict');
        // The write after the copy, as the announcement was.
        const other = await two.control.update({ leader: 'us-east', nonce: 'c' }, created.revision);
        assert.ok(other !== 'conflict');
        await one.control.read();
        assert.equal(await one.control.update({ leader: 'eu-west', nonce: 'e' }, announced.revision), 'conflict');
        assert.deepEqual(await two.control.read(), {
          revision: other.revision,
          value: { leader: 'us-east', nonce: 'c' },
        });
      });
    });
  });
}
