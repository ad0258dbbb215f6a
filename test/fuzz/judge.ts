/** Judges answers: what a request may be answered, whatever it holds. */
import { gunzipSync } from 'node:zlib';
import { problems } from '../../shared/errors/errors.ts';
import type { Outcome } from './client.ts';

/** A router reads no more of a body than this, and may end the connection of one that is longer. */
const BODY_LIMIT_BYTES = 2 * 1024 * 1024;
/** Codes with which a service asks for patience; no finding, but counted. */
const patience = new Set(['overloaded', 'no_leader', 'not_ready', 'handing_over', 'not_leader', 'region_unreachable']);
const FINDINGS_SHOWN = 20;

export class Judge {
  readonly findings: string[] = [];
  /** Requests whose answer may be due to load: a finding only if it is the same when they are sent alone. */
  readonly doubtful = new Map<number, string>();
  /** Number of answers by status, and by code of those with one. */
  readonly answers = new Map<string, number>();
  readonly byRoute = new Map<string, number>();
  /** Events of writes that were accepted. */
  accepted = 0;
  /** Events that a request without an answer may have added. */
  unknown = 0;
  slowestMs = 0;
  slowest = '';
  outcomes = 0;
  private readonly seed: number;
  /** Requests are sent alone now, and nothing is doubtful. */
  isLast = false;

  constructor(seed: number) {
    this.seed = seed;
  }

  readonly judge = (outcome: Outcome): void => {
    const { request, answer, reason, repeated, tookMs } = outcome;
    this.outcomes += 1;
    if (repeated && request.method !== 'GET') this.unknown += eventsLimit(request.bytes);
    if (tookMs > this.slowestMs && !request.waits) {
      this.slowestMs = tookMs;
      this.slowest = `request ${request.index}, ${request.method} ${request.target.slice(0, 100)}`;
    }
    if (answer === undefined) {
      this.count('none');
      this.unknown += eventsLimit(request.bytes);
      // A refusal of a body that is still being sent may be lost with the connection.
      if (request.bodyBytes <= BODY_LIMIT_BYTES) this.doubt(outcome, `no answer: ${reason}`);
      return;
    }
    const { status, headers } = answer;
    const text = textOf(answer.headers, answer.body);
    const isProblem = headers.get('content-type')?.startsWith('application/problem+json') === true;
    const code = isProblem ? codeOf(text) : undefined;
    this.count(code === undefined ? String(status) : `${status} ${code}`);
    this.byRoute.set(request.route, (this.byRoute.get(request.route) ?? 0) + 1);
    if (status >= 200 && status < 300) this.acceptedIn(request.method, text);
    if (code === 'outcome_unknown') this.unknown += eventsLimit(request.bytes);
    const flaw = flawOf(outcome, status, code, text);
    if (flaw !== undefined && (status === 503 || status === 504)) this.doubt(outcome, flaw);
    else if (flaw !== undefined) this.find(outcome, flaw);
    if (!headers.has('x-request-id')) this.find(outcome, `answered ${status} without x-request-id`);
  };

  private doubt(outcome: Outcome, flaw: string): void {
    const { index } = outcome.request;
    if (this.isLast) this.find(outcome, flaw);
    else this.doubtful.set(index, flaw);
  }

  /** What a finding needs to be seen again. */
  find({ request }: Pick<Outcome, 'request'>, flaw: string): void {
    if (this.findings.length === FINDINGS_SHOWN) this.findings.push('further findings are not shown');
    if (this.findings.length > FINDINGS_SHOWN) return;
    const shown = JSON.stringify(request.bytes.subarray(0, 600).toString('latin1'));
    this.findings.push(`--seed ${this.seed} --only ${request.index} (${request.route}): ${flaw}\n    ${shown}`);
  }

  private count(what: string): void {
    this.answers.set(what, (this.answers.get(what) ?? 0) + 1);
  }

  private acceptedIn(method: string, text: string): void {
    if (method === 'GET' || method === 'HEAD' || !text.startsWith('{"accepted":')) return;
    const { accepted, replayed } = JSON.parse(text) as { accepted: number; replayed?: boolean };
    if (replayed !== true) this.accepted += accepted;
  }
}

function flawOf({ request }: Outcome, status: number, code: string | undefined, text: string): string | undefined {
  const said = `answered ${status} ${text.slice(0, 400)}`;
  // It has a form of its own.
  if (status === 503 && request.route.startsWith('GET /health')) return undefined;
  if (status >= 400 && request.method !== 'HEAD') {
    if (code === undefined || !(code in problems)) return `${said}: no problem with a known code`;
  }
  if (status < 500) return undefined;
  // The answer to HEAD has no body that could name its code.
  if (request.method === 'HEAD' && (status === 503 || (status === 504 && request.waits))) return undefined;
  if (status === 503 && patience.has(code ?? '')) return undefined;
  if (status === 504 && code === 'position_not_reached' && request.waits) return undefined;
  return said;
}

function textOf(headers: ReadonlyMap<string, string>, body: Buffer): string {
  return (headers.get('content-encoding') === 'gzip' ? gunzipSync(body) : body).toString();
}

function codeOf(text: string): string | undefined {
  try {
    return (JSON.parse(text) as { code?: string }).code;
  } catch {
    return undefined;
  }
}

/** No request holds more events than it has opening braces. */
function eventsLimit(bytes: Buffer): number {
  return bytes.subarray(0, 4).toString('latin1') === 'GET '
    ? 0
    : Math.max(1, bytes.toString('latin1').split('{').length - 1);
}
