/** Single requests to routers: only a router's answer is one, and each is carried out once at most. */
import assert from 'node:assert/strict';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { CommandError } from '../../../../../deploy/backup/command.ts';
import { NoAnswer, Routers } from '../../../../../deploy/tidal/cluster/request.ts';

describe('single requests to routers', () => {
  it('take neither the 503 of a proxy nor a redirect for an answer', async () => {
    let answer: readonly [status: number, body: string] = [200, '{}'];
    const server = createServer((_, response) => {
      response.writeHead(answer[0], { 'content-type': 'application/json', location: '/other' }).end(answer[1]);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const router = new Routers([`http://127.0.0.1:${(server.address() as AddressInfo).port}`], 'key');
      const health = { status: 'unavailable' };
      answer = [503, JSON.stringify(health)];
      assert.deepEqual(await router.get('/health'), health);
      await assert.rejects(router.get('/cluster/status'), /answered 503, and not as a router does/);
      for (const [status, body, said] of [
        [503, '{"message":"no healthy upstream"}', /answered 503, and not as a router does/],
        [502, '{"code":502}', /answered 502, and not as a router does/],
        [308, '{}', /answered 308, and not as a router does/],
        [503, '{"code":"no_leader","detail":"no region leads"}', /^no region leads \(no_leader\)$/],
        [200, '<html>', /answered 200 without JSON/],
      ] as const) {
        answer = [status, body];
        for (const call of [() => router.get('/health'), () => router.post('/cluster/heal', {})])
          await assert.rejects(call(), (error) => error instanceof CommandError && said.test(error.message));
      }
    } finally {
      server.close();
    }
  });

  describe('of several', () => {
    const away = 'http://127.0.0.1:2';
    const servers: Server[] = [];
    const seen: string[] = [];
    const serve = async (name: string, respond: (response: ServerResponse) => void): Promise<string> => {
      const server = createServer((request, response) => {
        seen.push(`${name} ${request.url}`);
        respond(response);
      });
      servers.push(server);
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    };
    const well = (response: ServerResponse): void => void response.end('{}');
    beforeEach(() => {
      seen.length = 0;
    });
    afterEach(() => {
      for (const server of servers.splice(0)) {
        server.closeAllConnections();
        server.close();
      }
    });

    it('one that is away is not asked again: the next has the request, and those after it', async () => {
      const routers = new Routers([away, await serve('b', well), away], undefined);
      await routers.post('/1', {});
      await routers.get('/2');
      assert.deepEqual(seen, ['b /1', 'b /2']);
    });

    it('what may have been carried out is not sent again, and the next request goes to the next router', async () => {
      const breaking = await serve('a', (response) => void response.destroy());
      const routers = new Routers([breaking, await serve('b', well)], undefined);
      await assert.rejects(
        routers.post('/1', {}),
        (error) =>
          error instanceof NoAnswer && !error.notSent && error.message.startsWith(`no answer from ${breaking}: `),
      );
      assert.deepEqual(seen, ['a /1']);
      await routers.get('/2');
      assert.deepEqual(seen, ['a /1', 'b /2']);
    });

    it('one that fails is left after its answer; health of 503 is no failure', async () => {
      const failing = await serve('a', (response) => void response.writeHead(503).end('{"code":"c","status":"s"}'));
      const routers = new Routers([failing, await serve('b', well)], undefined);
      await routers.get('/health');
      assert.equal((await routers.fetch('/1', { method: 'POST' })).status, 503);
      await routers.fetch('/2', { method: 'POST' });
      assert.deepEqual(seen, ['a /health', 'a /1', 'b /2']);
    });

    it('all are named when none is there', async () => {
      const routers = new Routers([away, 'http://localhost:2/'], undefined);
      await assert.rejects(routers.get('/health'), (error) => {
        assert.ok(error instanceof NoAnswer && error.notSent);
        assert.equal(error.reason, 'ECONNREFUSED');
        return error.message.startsWith(`no answer from ${away}, http://localhost:2: `);
      });
    });
  });
});
