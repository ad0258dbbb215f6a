/**
 * Sends one request until it is answered: again after a refusal or a lost connection, to the next router if one is away.
 *
 * What may have been carried out is sent again only if it may be carried out twice: reads, writes under an idempotency key, and what
 * the document calls repeatable. A refusal with 408, 429 or 503 has changed nothing, and is asked again always.
 */
import type { Problem } from '../errors/errors.ts';
import { type Clock, type Random, sleep } from '../kernel/kernel.ts';
import { TidalProblem, TidalUnanswered } from './errors.ts';

const BACK_OFF_FIRST_MS = 100;
const BACK_OFF_LIMIT_MS = 2_000;

export interface SendingOptions {
  /** Without a trailing slash. */
  readonly urls: readonly string[];
  readonly clock: Clock;
  readonly random: Random;
  readonly fetch: typeof fetch;
  /** Tries of one call. */
  readonly attempts: number;
}

export interface Outgoing {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
  /** Whether it may be sent again when it may have been carried out. */
  readonly repeatable: boolean;
  /** For all tries together. */
  readonly deadlineMs: number;
  /** For one try. */
  readonly attemptMs: number;
  readonly signal: AbortSignal | undefined;
}

export interface Answered {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

interface Failure {
  readonly error: TidalProblem | TidalUnanswered;
  readonly again: boolean;
  /** Another router may do better. */
  readonly move: boolean;
  /** Asked for by the answer. */
  readonly afterMs: number;
}

export class Sending {
  private readonly options: SendingOptions;
  /** Index of the router that is asked next. */
  private at: number;

  constructor(options: SendingOptions) {
    this.options = options;
    this.at = Math.floor(this.fraction() * options.urls.length);
  }

  /** Throws `TidalProblem` or `TidalUnanswered`, and the reason of the signal if it aborts. */
  async send(outgoing: Outgoing): Promise<Answered> {
    const { urls, clock, attempts: limit } = this.options;
    const endMs = clock.monotonicMs() + outgoing.deadlineMs;
    const silent = new Set<string>();
    for (let attempts = 1; ; attempts++) {
      outgoing.signal?.throwIfAborted();
      const url = urls[this.at % urls.length]!;
      const leftMs = Math.max(1, endMs - clock.monotonicMs());
      const answered = await this.attempt(url, outgoing, { attempts, limitMs: Math.min(leftMs, outgoing.attemptMs) });
      if ('status' in answered) return answered;
      const { error, again, move, afterMs } = answered;
      if (move) this.leave(url);
      if (error instanceof TidalUnanswered) silent.add(url);
      // A router that was not asked yet is asked at once.
      const isFresh = error instanceof TidalUnanswered && !silent.has(urls[this.at % urls.length]!);
      const waitMs = isFresh ? 0 : afterMs + this.backOffMs(attempts);
      if (!again || attempts >= limit || clock.monotonicMs() + waitMs >= endMs) throw error;
      if (waitMs > 0) await sleep(clock, waitMs, outgoing.signal);
    }
  }

  /** Unless another call has left it already. */
  private leave(url: string): void {
    const { urls } = this.options;
    if (urls[this.at % urls.length] === url) this.at = (this.at + 1) % urls.length;
  }

  /** Between half of the full time and all of it, which doubles with every try. */
  private backOffMs(attempts: number): number {
    const fullMs = Math.min(BACK_OFF_LIMIT_MS, BACK_OFF_FIRST_MS * 2 ** (attempts - 1));
    return (fullMs * (1 + this.fraction())) / 2;
  }

  /** From 0 up to 1. */
  private fraction(): number {
    const [a = 0, b = 0] = this.options.random.bytes(2);
    return (a * 256 + b) / 65_536;
  }

  private async attempt(
    url: string,
    { method, path, headers, body, repeatable, signal }: Outgoing,
    { attempts, limitMs }: { readonly attempts: number; readonly limitMs: number },
  ): Promise<Answered | Failure> {
    const limit = new AbortController();
    const stop = (): void => limit.abort(signal?.reason);
    signal?.addEventListener('abort', stop, { once: true });
    const timer = this.options.clock.after(limitMs, () => limit.abort(new Error(`no answer within ${limitMs} ms`)));
    try {
      const response = await this.options.fetch(url + path, {
        ...{ method, headers, signal: limit.signal },
        ...(body === undefined ? {} : { body }),
      });
      const text = await response.text();
      const answered = { status: response.status, headers: response.headers, text };
      const type = response.headers.get('content-type') ?? '';
      // Health is answered 503 with a body of its own.
      if ((response.ok || response.status === 503) && type.startsWith(headers.accept!)) return answered;
      return failureOf(answered, { url, attempts, repeatable });
    } catch (error) {
      signal?.throwIfAborted();
      const notSent = wasNotSent(error);
      return {
        error: new TidalUnanswered(
          `no answer from ${url}: ${reasonOf(limit.signal.aborted ? limit.signal.reason : error)}`,
          {
            ...{ url, attempts, notSent, cause: error },
          },
        ),
        ...{ again: notSent || repeatable, move: true, afterMs: 0 },
      };
    } finally {
      timer.cancel();
      signal?.removeEventListener('abort', stop);
    }
  }
}

function failureOf(
  { status, headers, text }: Answered,
  { url, attempts, repeatable }: { readonly url: string; readonly attempts: number; readonly repeatable: boolean },
): Failure {
  const problem = problemOf(text);
  const changedNothing = problem !== undefined && [408, 429, 503].includes(status);
  const mayHelp = [408, 429, 500, 502, 503, 504].includes(status);
  const afterSeconds = Number(headers.get('retry-after') ?? 0);
  const error =
    problem === undefined
      ? new TidalUnanswered(`${url} answered ${status}, and not as a router does`, { url, attempts, notSent: false })
      : new TidalProblem(problem, { url, attempts, requestId: headers.get('x-request-id') ?? undefined });
  return {
    error,
    again: mayHelp && (changedNothing || repeatable),
    // A rate is the key's at one router: the others are not asked instead.
    move: status >= 500 && problem?.code !== 'position_not_reached',
    afterMs: Number.isFinite(afterSeconds) ? Math.max(0, afterSeconds) * 1_000 : 0,
  };
}

function problemOf(text: string): Problem | undefined {
  try {
    const value = JSON.parse(text) as Partial<Problem> | null;
    return typeof value?.code === 'string' && typeof value.status === 'number' ? (value as Problem) : undefined;
  } catch {
    return undefined;
  }
}

/** Of errors before anything of the request could arrive. */
const unsent: ReadonlySet<unknown> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
]);

function wasNotSent(error: unknown): boolean {
  const { cause } = (error ?? {}) as { readonly cause?: unknown };
  const { code, errors } = (cause ?? {}) as {
    readonly code?: unknown;
    readonly errors?: readonly { readonly code?: unknown }[];
  };
  return (
    unsent.has(code) || (errors !== undefined && errors.length > 0 && errors.every((each) => unsent.has(each.code)))
  );
}

function reasonOf(error: unknown): string {
  const { cause } = (error ?? {}) as { readonly cause?: unknown };
  for (const each of [cause, error]) if (each instanceof Error && each.message !== '') return each.message;
  return String((cause as { readonly code?: unknown } | undefined)?.code ?? error);
}
