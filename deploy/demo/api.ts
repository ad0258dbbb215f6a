/** The cluster's public HTTP surface as the demo uses it. */
import { Fault, messageOf } from '../../shared/errors/errors.ts';
import { type Clock, sleep } from '../../shared/kernel/kernel.ts';

export interface ApiOptions {
  /** Without a trailing slash. */
  readonly url: string;
  /** The cluster's key; absent: it needs none. */
  readonly key?: string | undefined;
  readonly clock: Clock;
}

/** Bounds of one bulk body. The surface accepts 2 MB; smaller ones show progress and do not delay single writes. */
export const bodyLimits = { bytes: 1_000_000, lines: 1_000 } as const;

/** Number of retries after a 503, which has changed nothing. */
const refusalLimit = 20;

export class Api {
  private readonly options: ApiOptions;

  constructor(options: ApiOptions) {
    this.options = options;
  }

  get(path: string): Promise<unknown> {
    return this.send(path, {});
  }

  /** One bulk write, all or nothing. */
  post(path: string, body: string): Promise<unknown> {
    return this.send(path, { method: 'POST', headers: { 'content-type': 'application/x-ndjson' }, body });
  }

  /** Throws `Fault('demo_failed')` with the server's answer. */
  private async send(
    path: string,
    request: Omit<RequestInit, 'headers'> & { readonly headers?: Readonly<Record<string, string>> },
  ): Promise<unknown> {
    const { url, key, clock } = this.options;
    const headers = { ...request.headers, ...(key === undefined ? {} : { authorization: `Bearer ${key}` }) };
    for (let refusals = 0; ; refusals++) {
      let response: Response;
      try {
        response = await fetch(`${url}${path}`, { ...request, headers });
      } catch (error) {
        const cause = error instanceof Error && error.cause !== undefined ? messageOf(error.cause) : messageOf(error);
        throw new Fault('demo_failed', `${url} cannot be reached (${cause}). Is the cluster running? npm start`);
      }
      if (response.ok) return response.json();
      const text = await response.text();
      if (response.status !== 503 || refusals >= refusalLimit) {
        throw new Fault('demo_failed', `${request.method ?? 'GET'} ${path} answered ${response.status}: ${text}`);
      }
      const waitSeconds = Number(response.headers.get('retry-after') ?? 1);
      await sleep(clock, Math.min(5_000, 1_000 * (Number.isFinite(waitSeconds) ? waitSeconds : 1)));
    }
  }
}

export interface Body {
  readonly text: string;
  readonly lines: number;
}

/** Packs records one a line into bodies within the limits. */
export function* bodiesOf(
  records: Iterable<unknown>,
  limits: { bytes: number; lines: number } = bodyLimits,
): Generator<Body> {
  let lines: string[] = [];
  let bytes = 0;
  for (const record of records) {
    const line = `${JSON.stringify(record)}\n`;
    const size = Buffer.byteLength(line);
    if (lines.length > 0 && (bytes + size > limits.bytes || lines.length >= limits.lines)) {
      yield { text: lines.join(''), lines: lines.length };
      lines = [];
      bytes = 0;
    }
    lines.push(line);
    bytes += size;
  }
  if (lines.length > 0) yield { text: lines.join(''), lines: lines.length };
}
