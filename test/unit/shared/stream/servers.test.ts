/** The addresses of the broker: which are accepted, and in which order they are tried. */
import assert from 'node:assert/strict';
import { ConfigError } from '../../../../shared/errors/config-error.ts';
import { Servers, serversOf } from '../../../../shared/stream/servers.ts';

describe('servers of the broker', () => {
  it('are one address, or several with commas between them', () => {
    assert.deepEqual(serversOf('region', 'nats://a:4222'), ['nats://a:4222']);
    assert.deepEqual(serversOf('region', 'nats://a:4222, tls://b,nats://[::1]:4223'), [
      ...['nats://a:4222', 'tls://b', 'nats://[::1]:4223'],
    ]);
  });

  it('that are none are refused by name, with an example', () => {
    for (const [text, named] of [
      ['', '""'],
      ['a:4222', '"a:4222"'],
      ['http://a:4222', '"http://a:4222"'],
      ['nats://a:4222,', '""'],
      ['nats://a:4222,b:4222', '"b:4222"'],
      ['nats://user:secret@a:4222', '"nats://…@a:4222"'],
      ['nats://a:4222/path', '"nats://a:4222/path"'],
      ['nats://', '"nats://"'],
    ] as const) {
      assert.throws(
        () => serversOf('region', text),
        (error) =>
          error instanceof ConfigError && error.message.includes(named) && /nats:\/\/nats:4222/.test(error.message),
        text,
      );
    }
  });

  it('are tried in turn: after a loss the others first, with those that the server named', () => {
    const servers = new Servers(['nats://a:1', 'nats://b:2']);
    assert.deepEqual(servers.inOrder, ['nats://a:1', 'nats://b:2']);
    servers.lost('nats://a:1');
    assert.deepEqual(servers.inOrder, ['nats://b:2', 'nats://a:1']);
    servers.lost('nats://b:2', ['c:3', 'b:2']);
    assert.deepEqual(servers.inOrder, ['nats://c:3', 'nats://a:1', 'nats://b:2']);
    servers.lost(
      'nats://a:1',
      Array.from({ length: 50 }, (_, index) => `s${index}:1`),
    );
    assert.equal(servers.inOrder.length, 18);
  });
});
