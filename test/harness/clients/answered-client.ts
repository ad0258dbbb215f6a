/** The typed client with answers that a test makes up, and a clock that jumps to the next timer. */
import assert from 'node:assert/strict';
import { TidalClient, type TidalClientOptions, TidalProblem } from '../../../shared/client/client.ts';
import { type Problem, type ProblemCode, problems } from '../../../shared/errors/errors.ts';
import type { Clock, Timer } from '../../../shared/kernel/kernel.ts';
import { seededRandom } from '../kernel/seeded-random.ts';

export const routers = ['http://one:9500', 'http://two:9500'];

/** A timer runs in the next turn unless it is cancelled before, and moves the time on. */
export class JumpingClock implements Clock {
  timeMs = 0;
  /** Of timers that have run. */
  readonly sleptMs: number[] = [];
  nowMs(): number {
    return this.timeMs;
  }
  monotonicMs(): number {
    return this.timeMs;
  }
  after(delayMs: number, action: () => void): Timer {
    const handle = setImmediate(() => {
      this.sleptMs.push(delayMs);
      this.timeMs += delayMs;
      action();
    });
    return { cancel: () => clearImmediate(handle) };
  }
}

interface Seen {
  readonly url: string;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

export type Reply = Response | Error | 'silence';

export const written = { accepted: 1, position: 'us-east@aaaaaaaaaaaaa:7', durability: 'stream', entity_id: 1 };
export const ok = (body: unknown): Response => Response.json(body);

export function refused(
  code: ProblemCode,
  headers: Record<string, string> = {},
  more: Partial<Problem> = {},
): Response {
  const [status, title] = problems[code];
  const problem = { type: `urn:tidaldb:problem:${code}`, title, status, code, detail: 'said so', ...more };
  return new Response(JSON.stringify(problem), {
    status,
    headers: { 'content-type': 'application/problem+json', 'x-request-id': 'id-1', ...headers },
  });
}

export const failed = (code: string): Error =>
  new TypeError('fetch failed', { cause: Object.assign(new Error(code), { code }) });

/** A client whose requests are answered by these in turn, the last one again and again. */
export function clientOf(replies: readonly Reply[], options: Partial<TidalClientOptions> = {}) {
  const clock = new JumpingClock();
  const seen: Seen[] = [];
  const answer = (async (target: string, init: RequestInit) => {
    const { origin, pathname, search } = new URL(target);
    const headers = init.headers as Record<string, string>;
    seen.push({
      url: origin,
      method: init.method!,
      path: pathname + search,
      headers,
      body: init.body as string | undefined,
    });
    const reply = replies[Math.min(seen.length, replies.length) - 1]!;
    if (reply instanceof Error) throw reply;
    if (reply !== 'silence') return reply.clone();
    return new Promise((_resolve, reject) => {
      init.signal!.addEventListener('abort', () => reject(init.signal!.reason));
    });
  }) as typeof fetch;
  const client = new TidalClient({ urls: [routers[0]!], clock, random: seededRandom(7), fetch: answer, ...options });
  return { client, clock, seen };
}

export async function problemOf(call: Promise<unknown>): Promise<TidalProblem> {
  const error = await call.then(
    () => assert.fail('it succeeded'),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof TidalProblem, String(error));
  return error;
}
