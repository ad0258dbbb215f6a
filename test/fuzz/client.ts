/**
 * Sends drawn requests over kept connections, several under way on each, and gives every answer to `judge`. A request that was not
 * answered because the connection ended before its turn is sent again, alone on a connection of its own; one that gets no answer
 * there is a finding of `judge`.
 */
import { connect, type Socket } from 'node:net';
import { type Answer, AnswerReader } from './answers.ts';
import type { FuzzRequest } from './mutate.ts';

const DEPTH = 16;
const CONNECTIONS = 6;
/** Connections with one request at a time, for those that may end theirs, and for those that wait. */
const SINGLE_CONNECTIONS = 6;
/** An answer that takes longer is none. */
const ANSWER_LIMIT_MS = 60_000;

/** What became of a request. */
export interface Outcome {
  readonly request: FuzzRequest;
  /** Absent: the connection ended without one, or it took too long; `reason` says so. */
  readonly answer?: Answer;
  readonly reason?: string;
  /** It was sent before on a connection that ended before its turn. */
  readonly repeated: boolean;
  readonly tookMs: number;
}

export interface ClientOptions {
  readonly port: number;
  readonly count: number;
  readonly draw: (index: number) => FuzzRequest;
  readonly judge: (outcome: Outcome) => void;
}

interface Sent {
  readonly request: FuzzRequest;
  readonly repeated: boolean;
  readonly sentMs: number;
}

type Waiting = Omit<Sent, 'sentMs'>;

/** Resolves when every request has its outcome. */
export async function sendAll({ port, count, draw, judge }: ClientOptions): Promise<void> {
  let drawn = 0;
  const single: Waiting[] = [];
  const piped: Waiting[] = [];
  /** Draws until there is a request of that kind, or none is left. */
  const take = (kind: 'single' | 'piped'): Waiting | undefined => {
    const queue = kind === 'single' ? single : piped;
    // Those of the other kind wait meanwhile, a bounded number of them.
    while (queue.length === 0 && drawn < count && single.length < 1_000) {
      const request = draw(drawn++);
      (request.oddHead || request.waits ? single : piped).push({ request, repeated: false });
    }
    return queue.shift();
  };
  const again = (request: FuzzRequest): void => void single.push({ request, repeated: true });
  let active = 0;
  const isDone = (): boolean => drawn >= count && single.length === 0 && piped.length === 0 && active === 0;
  const run = async (kind: 'single' | 'piped'): Promise<void> => {
    while (!isDone()) {
      const first = take(kind) ?? (kind === 'piped' ? undefined : piped.shift());
      if (first === undefined) {
        await new Promise((resolve) => setTimeout(resolve, 5));
        continue;
      }
      active += 1;
      await overOneConnection(port, first, {
        depth: kind === 'single' ? 1 : DEPTH,
        next: () => take(kind),
        judge,
        again,
      });
      active -= 1;
    }
  };
  const runs = [
    ...Array.from({ length: CONNECTIONS }, () => run('piped')),
    ...Array.from({ length: SINGLE_CONNECTIONS }, () => run('single')),
  ];
  await Promise.all(runs);
}

interface ConnectionOptions {
  readonly depth: number;
  readonly next: () => Waiting | undefined;
  readonly judge: (outcome: Outcome) => void;
  readonly again: (request: FuzzRequest) => void;
}

/** Until the connection ends, or nothing is left to send. */
function overOneConnection(
  port: number,
  first: Waiting,
  { depth, next, judge, again }: ConnectionOptions,
): Promise<void> {
  return new Promise((resolve) => {
    const socket: Socket = connect({ port, host: '127.0.0.1', noDelay: true });
    const reader = new AnswerReader();
    const sent: Sent[] = [];
    let failure = '';
    let closes = false;
    const send = ({ request, repeated }: Waiting): void => {
      sent.push({ request, repeated, sentMs: performance.now() });
      socket.write(request.bytes);
    };
    const fill = (): void => {
      while (!closes && sent.length < depth) {
        const following = next();
        if (following === undefined) break;
        send(following);
      }
      if (sent.length === 0) socket.end();
    };
    socket.setTimeout(ANSWER_LIMIT_MS, () => {
      failure = `no answer within ${ANSWER_LIMIT_MS} ms`;
      socket.destroy();
    });
    socket.on('connect', () => {
      send(first);
      fill();
    });
    socket.on('data', (data: Buffer) => {
      reader.add(data);
      try {
        while (sent.length > 0) {
          const answer = reader.next(sent[0]!.request.method === 'HEAD');
          if (answer === undefined) return;
          const { request, repeated, sentMs } = sent.shift()!;
          closes ||= answer.closes;
          judge({ request, answer, repeated, tookMs: performance.now() - sentMs });
        }
        if (reader.left.length > 0) throw new Error('bytes behind the last answer');
        fill();
      } catch (error) {
        failure = (error as Error).message;
        socket.destroy();
      }
    });
    socket.on('error', (error) => {
      failure ||= error.message;
    });
    socket.on('close', () => {
      const [unanswered, ...others] = sent;
      if (unanswered !== undefined) {
        // Behind an answer that closes, none of the others was in its turn; else the first one ended the connection.
        const { request, repeated, sentMs } = unanswered;
        if (closes || depth > 1) again(request);
        else judge({ request, repeated, reason: failure || 'closed', tookMs: performance.now() - sentMs });
        for (const other of others) again(other.request);
      }
      resolve();
    });
  });
}
