/** Requests of drills to one router: only a router's answer is one. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { CommandError } from '../../../../../deploy/backup/command.ts';
import { Router } from '../../../../../deploy/tidal/cluster/request.ts';

describe('requests to one router', () => {
  it('take neither the 503 of a proxy nor a redirect for an answer', async () => {
    let answer: readonly [status: number, body: string] = [200, '{}'];
    const server = createServer((_, response) => {
      response.writeHead(answer[0], { 'content-type': 'application/json', location: '/other' }).end(answer[1]);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const router = new Router(`http://127.0.0.1:${(server.address() as { readonly port: number }).port}`, 'key');
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
});
