/** The MACs of the values of the control bucket, by the production code of a key above a server in memory. */
import assert from 'node:assert/strict';
import { InternalKeys } from '../../../../shared/credentials/internal-keys.ts';
import { systemClock } from '../../../../shared/kernel/system.ts';
import { aliveKey, parseAlive, parseLeadership, parseLease } from '../../../../shared/leadership/leadership.ts';
import { type ControlEntry, Unproven } from '../../../../shared/stream/stream.ts';
import { eventually } from '../../../harness/kernel/eventually.ts';
import { keysOfServer } from '../../../harness/stream/key-server.ts';
import { MemoryBroker } from '../../../harness/stream/memory-stream.ts';

const [one, two] = ['one', 'two'].map((name) => `${name} 0123456789 abcdefghijklmnopqrstuvwxyz 0123456789`) as [
  string,
  string,
];
const record = { leader: 'us-east', epoch: 3, nonce: 'a' };

describe('values of the control bucket', () => {
  const broker = new MemoryBroker({ clock: systemClock });
  const client = broker.connect('client');
  after(() => client.close());
  const keysWith = (insecure: boolean, ...secrets: string[]) =>
    keysOfServer(broker, client, new InternalKeys({ secrets, insecure }));
  const read = async (name: string, keys = keysWith(false, one)): Promise<ControlEntry> => {
    const entry = await keys(name).read();
    assert.notEqual(entry, 'missing');
    return entry as ControlEntry;
  };
  const flawOf = async (name: string, keys = keysWith(false, one)): Promise<string | undefined> => {
    const { value } = await read(name, keys);
    return value instanceof Unproven ? value.flaw : undefined;
  };

  before(async () => {
    await eventually('it is connected', () => client.stream.connected);
    assert.notEqual(await keysWith(false, one)('leadership').create(record), 'conflict');
  });

  it('are read by processes with the same secret, under their own key', async () => {
    assert.deepEqual((await read('leadership')).value, record);
    assert.equal(
      await flawOf('leadership', keysWith(false, two)),
      'carries a MAC under a secret that is not valid here',
    );
    assert.equal(await flawOf('leadership', keysWith(true, two)), undefined, 'an insecure process demands none');
  });

  it('are refused without a MAC, with that of another key or of other bytes, whatever they are', async () => {
    const keys = new InternalKeys({ secrets: [one], insecure: false });
    const forged = JSON.stringify({ ...record, epoch: 4, leader: 'eu-west' });
    for (const [mac, flaw] of [
      [undefined, /^carries no MAC$/],
      [keys.controlMacOf('lease', Buffer.from(forged)), /not of a process of this cluster/],
      [keys.controlMacOf('leadership', Buffer.from(JSON.stringify(record))), /not of a process of this cluster/],
      [keys.macOf('leadership', Buffer.from(forged)), /not of a process of this cluster/],
      ['x', /not valid here/],
    ] as const) {
      broker.writeKey('leadership', forged, mac);
      assert.match(String(await flawOf('leadership')), flaw);
      const { value } = await read('leadership');
      const parsed = parseLeadership(value, { knownEpoch: 3 });
      assert.ok('unsound' in parsed && /^it carries/.test(parsed.unsound), JSON.stringify(parsed));
      assert.equal(JSON.stringify(value), forged, 'a log shows what was written');
    }
    const alive = { region: 'us-east', partitioned: false, clockMs: 1 };
    broker.writeKey(aliveKey('us-east'), JSON.stringify(alive));
    broker.writeKey('lease', '{"holder":"a"}');
    assert.equal(parseAlive((await read(aliveKey('us-east'))).value, 'us-east'), undefined);
    assert.equal(parseLease((await read('lease')).value), undefined);
  });

  it('that are refused can be replaced under their revision', async () => {
    const key = keysWith(false, one)('leadership');
    const { revision } = await read('leadership');
    assert.notEqual(await key.update(record, revision), 'conflict');
    assert.deepEqual((await read('leadership')).value, record);
  });

  it('under the former of two secrets are valid, and to be written again', async () => {
    const both = keysWith(false, two, one);
    const { value, renew, revision } = await read('leadership', both);
    assert.deepEqual([value, renew], [record, true]);
    assert.notEqual(await both('leadership').update(value, revision), 'conflict');
    assert.equal((await read('leadership', both)).renew, undefined);
    assert.deepEqual((await read('leadership', keysWith(false, two))).value, record);
  });
});
