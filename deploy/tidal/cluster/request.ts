/** What the commands for a running cluster share: their options, the client of the cluster, and single requests to its routers. */
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { TidalClient, TidalProblem, TidalUnanswered } from '../../../shared/client/client.ts';
import { baseUrlOf, isKey, keyRule, urlRule } from '../../../shared/client/given.ts';
import { wasNotSent } from '../../../shared/client/sending.ts';
import { ConfigError } from '../../../shared/errors/config-error.ts';
import { messageOf } from '../../../shared/errors/errors.ts';
import { CommandError, say } from '../../backup/command.ts';
import { printable } from './table.ts';

const DEFAULT_URL = 'http://127.0.0.1:9500';
/** Longer than the longest answer of a router: a heal that waits, a verification. */
const TIMEOUT_MS = 60_000;

export const clusterHelp = `
  --url   a router, or several with commas: the next is asked if one is away; default TIDAL_URL, then ${DEFAULT_URL}
  --key   a key with the scope that the command needs; default TIDAL_API_KEY, where no list of processes shows it
  --json  the router's answer as one line of JSON

Exit code 0: done. 1: refused or failed, said in one sentence. 2: invalid arguments.
`;

type Options = NonNullable<ParseArgsConfig['options']>;

export interface ClusterArguments {
  readonly words: readonly string[];
  /** The value of a text option; undefined: not given. */
  text(name: string): string | undefined;
  flag(name: string): boolean;
  /** Whether `--json` was given. */
  readonly json: boolean;
  /** The routers at `--url`, for requests whose every answer counts. */
  readonly routers: Routers;
  /** Of the routers at `--url`. Each is asked once: a terminal should not wait for one that is away. */
  readonly client: TidalClient;
  /** Prints the answer as JSON if that was asked for, and otherwise what `lines` makes of it. */
  answer<T>(answered: T, lines: (answered: T) => string): void;
}

/** Throws `ConfigError` for unknown options, and for another number of words than `words` names. */
export function clusterArguments(
  args: readonly string[],
  { words = [], options = {} }: { readonly words?: readonly string[]; readonly options?: Options },
): ClusterArguments {
  const { values, positionals } = parsed(args, options);
  const hasMore = words.at(-1)?.endsWith('…') ?? false;
  if (hasMore ? positionals.length < words.length : positionals.length !== words.length) {
    const wanted = words.length === 0 ? 'no words' : words.join(' ');
    throw new ConfigError(`expected ${wanted} after the command, not "${positionals.join(' ')}"`);
  }
  const text = (name: string): string | undefined => {
    const value = values[name];
    return typeof value === 'string' && value !== '' ? value : undefined;
  };
  const urls = (text('url') ?? process.env.TIDAL_URL ?? DEFAULT_URL).split(',').map((url) => url.trim());
  const from = (name: string, variable: string): string => (text(name) === undefined ? variable : `--${name}`);
  if (urls.some((url) => baseUrlOf(url) === undefined))
    throw new ConfigError(`${from('url', 'TIDAL_URL')} must be ${urlRule}`);
  const key = text('key') ?? (process.env.TIDAL_API_KEY || undefined);
  if (key !== undefined && !isKey(key)) throw new ConfigError(`${from('key', 'TIDAL_API_KEY')} must be ${keyRule}`);
  return {
    words: positionals,
    text,
    flag: (name) => values[name] === true,
    json: values.json === true,
    routers: new Routers(urls, key),
    client: new TidalClient({
      ...{ urls, key, attempts: urls.length },
      ...{ attemptMs: TIMEOUT_MS, deadlineMs: TIMEOUT_MS * urls.length },
    }),
    answer: (answered, lines) => say(printable(values.json === true ? JSON.stringify(answered) : lines(answered))),
  };
}

function parsed(args: readonly string[], options: Options) {
  const text = { type: 'string' } as const;
  const common: Options = { url: text, key: text, json: { type: 'boolean' } };
  try {
    return parseArgs({ args: [...args], options: { ...options, ...common }, allowPositionals: true });
  } catch (error) {
    throw new ConfigError(messageOf(error));
  }
}

/** No router has answered one request. */
export class NoAnswer extends CommandError {
  /** True: the request was not carried out. False: it may have been. */
  readonly notSent: boolean;
  /** A code of the system, or a sentence. */
  readonly reason: string;

  constructor(urls: readonly string[], error: unknown) {
    super(`no answer from ${urls.join(', ')}: ${reasonOf(error)}`, { cause: error });
    this.notSent = wasNotSent(error);
    const { code } = ((error as { readonly cause?: unknown }).cause ?? {}) as { readonly code?: unknown };
    this.reason = typeof code === 'string' ? code : reasonOf(error);
  }
}

/**
 * The HTTP surface of routers. One of them is asked until it does not answer or fails; then it is the next one's turn. A request is
 * sent again only if it was not sent, so that it is carried out once at most.
 */
export class Routers {
  readonly urls: readonly string[];
  private readonly key: string | undefined;
  /** Index of the one that is asked. */
  private at = 0;

  constructor(urls: readonly string[], key: string | undefined) {
    this.urls = urls.map((url) => url.replace(/\/+$/, ''));
    this.key = key;
  }

  /** Of a GET; parameters that are undefined are left out. Throws `CommandError`. */
  get<T>(path: string, parameters: Readonly<Record<string, string | undefined>> = {}): Promise<T> {
    const given = Object.entries(parameters).filter((pair): pair is [string, string] => pair[1] !== undefined);
    const query = given.length === 0 ? '' : `?${new URLSearchParams(given)}`;
    return this.request<T>(`${path}${query}`, { method: 'GET' });
  }

  /** Of a POST; fields that are undefined are left out. Throws `CommandError`. */
  post<T>(path: string, body: Readonly<Record<string, unknown>>): Promise<T> {
    return this.request<T>(path, { method: 'POST', body: JSON.stringify(body) });
  }

  /** One request, whatever the answer is; `url`: of the router that gave it. Throws `NoAnswer`. */
  async fetch(
    path: string,
    init: RequestInit & { readonly headers?: Readonly<Record<string, string>> },
  ): Promise<{ readonly url: string; readonly status: number; readonly text: string }> {
    const authorization = this.key === undefined ? {} : { authorization: `Bearer ${this.key}` };
    const headers = { 'content-type': 'application/json', ...authorization, ...init.headers };
    const asked: string[] = [];
    for (const first = this.at; ; ) {
      const url = this.urls[(first + asked.length) % this.urls.length]!;
      asked.push(url);
      try {
        const signal = init.signal ?? AbortSignal.timeout(TIMEOUT_MS);
        const response = await fetch(url + path, { ...init, headers, redirect: 'manual', signal });
        const text = await response.text();
        // Health is answered with 503 by a router that is well.
        if (response.status >= 500 && path !== '/health') this.leave(url);
        return { url, status: response.status, text };
      } catch (error) {
        this.leave(url);
        const notSent = wasNotSent(error);
        if (!notSent || asked.length === this.urls.length) throw new NoAnswer(notSent ? asked : [url], error);
      }
    }
  }

  /** Unless another request has left it already. */
  private leave(url: string): void {
    if (this.urls[this.at] === url) this.at = (this.at + 1) % this.urls.length;
  }

  private async request<T>(path: string, init: RequestInit & { readonly headers?: never }): Promise<T> {
    const { url, status, text } = await this.fetch(path, init);
    const body = parsedBody(text);
    if (body === undefined) throw new CommandError(`${url} answered ${status} without JSON: is it a router?`);
    // /health answers 503 with a status.
    const isHealth = path === '/health' && status === 503 && typeof body.status === 'string';
    if ((status >= 200 && status < 300) || isHealth) return body as T;
    const isProblem = typeof body.code === 'string';
    throw new CommandError(isProblem ? sentenceOf(body) : `${url} answered ${status}, and not as a router does`);
  }
}

/** Why there was no answer. */
function reasonOf(error: unknown): string {
  const { cause } = error as { readonly cause?: unknown };
  return cause instanceof Error && cause.message !== '' ? cause.message : messageOf(error);
}

/** Undefined if it is no object. */
export function parsedBody(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const body: unknown = JSON.parse(text);
    return typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** A problem document in one sentence. */
export function sentenceOf({ code, title, detail, hint }: Readonly<Record<string, unknown>>): string {
  return printable(`${String(detail ?? title)} (${String(code)})${hint === undefined ? '' : `; ${String(hint)}`}`);
}

/** A call's result; what the cluster refuses, or does not answer, is thrown as a `CommandError` in one sentence. */
export async function orSaid<T>(call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    if (!(error instanceof TidalProblem || error instanceof TidalUnanswered)) throw error;
    throw new CommandError(printable(error.message));
  }
}
