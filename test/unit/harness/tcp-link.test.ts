/** The simulated wire fails as intended; otherwise scenarios would pass without their fault. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { eventually } from '../../harness/kernel/eventually.ts';
import { seededRandom } from '../../harness/kernel/seeded-random.ts';
import { TcpLink } from '../../harness/network/tcp-link.ts';

describe('a wire that fails', () => {
  let target: Server;
  let link: TcpLink;
  /** The bytes received by the target. */
  let arrived: string;
  const sockets = new Set<Socket>();

  beforeEach(async () => {
    arrived = '';
    target = createServer((socket) => {
      sockets.add(socket);
      socket.setEncoding('utf8').on('data', (text: string) => {
        arrived += text;
        socket.write(text.toUpperCase());
      });
      socket.on('error', () => {});
    });
    target.listen(0, '127.0.0.1');
    await once(target, 'listening');
    const { port } = target.address() as { port: number };
    link = await TcpLink.open({ targetPort: port, random: seededRandom(5) });
  });
  afterEach(async () => {
    await link.close();
    for (const socket of sockets) socket.destroy();
    target.close();
  });

  const dial = async () => {
    const socket = createConnection({ host: '127.0.0.1', port: link.port });
    sockets.add(socket);
    const heard = { text: '', ended: '' };
    socket.setEncoding('utf8').on('data', (text: string) => {
      heard.text += text;
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      heard.ended = error.code ?? '';
    });
    await once(socket, 'connect');
    return { socket, heard };
  };

  it('forwards both ways, and a polite end', async () => {
    const { socket, heard } = await dial();
    socket.end('hello');
    await eventually('the answer', () => heard.text === 'HELLO');
    await eventually('it ended', () => socket.closed);
    assert.equal(heard.ended, '');
  });

  it('paused one way it holds that way only, and loses nothing', async () => {
    const { socket, heard } = await dial();
    link.pause(['back']);
    socket.write('one');
    await eventually('it went there', () => arrived === 'one');
    link.pause(['there']);
    socket.write('two');
    const other = await dial();
    other.socket.write('!');
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.deepEqual([arrived, heard.text], ['one', '']);
    await link.heal();
    await eventually('all of it went on', () => heard.text === 'ONETWO' && other.heard.text === '!');
  });

  it('broken it resets, and refuses until it is healed', async () => {
    const { heard } = await dial();
    await link.cut();
    await eventually('reset', () => heard.ended === 'ECONNRESET');
    await assert.rejects(dial(), { code: 'ECONNREFUSED' });
    await link.heal();
    const { socket, heard: again } = await dial();
    socket.write('back');
    await eventually('it works again', () => again.text === 'BACK');
  });

  it('delayed chunks stay in order', async () => {
    const { socket, heard } = await dial();
    // All of them, by different times: how many chunks they travel in is the kernel’s choice.
    link.delay({ probability: 1, leastMs: 20, mostMs: 60 });
    const sent = Array.from({ length: 20 }, (_, index) => String.fromCharCode(97 + index));
    const startMs = performance.now();
    for (const letter of sent) {
      socket.write(letter);
      await eventually('it is on its way', () => socket.writableLength === 0);
    }
    await eventually('all came', () => heard.text.length === sent.length);
    assert.equal(heard.text, sent.join('').toUpperCase());
    assert.ok(performance.now() - startMs >= 20, 'some were late');
  });
});
