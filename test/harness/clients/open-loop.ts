/**
 * Writes at a rate that does not depend on the answers, as many clients together send them: each is one view of an entity in turn,
 * over kept connections on which requests are sent without waiting for the answers before them.
 */
import { connect, type Socket } from 'node:net';
import { AnswerReader } from '../../fuzz/answers.ts';
import type { Acknowledged } from './acknowledged.ts';

const TICK_MS = 5;

export interface OpenLoopOptions {
  readonly url: string;
  readonly connections: number;
  /** Writes a second that are offered; Infinity: as many as `outstanding` allows. */
  readonly perSecond: number;
  readonly durationMs: number;
  /** Without an answer at a time, at most; what is due beyond that is not sent. */
  readonly outstanding: number;
  readonly entities: readonly number[];
  /** Where outcomes are added. */
  readonly told: Acknowledged;
  /** How long answers are waited for after the last write, ms. */
  readonly drainMs: number;
}

export interface OpenLoopDone {
  readonly offered: number;
  readonly sent: number;
  readonly acknowledged: number;
  /** Answers by status and code. */
  readonly answers: ReadonlyMap<string, number>;
  /** Of acknowledged writes, ms. */
  readonly latenciesMs: readonly number[];
  /** Acknowledged a second, from the first write to the last answer. */
  readonly perSecond: number;
}

export async function sendOpenLoop(options: OpenLoopOptions): Promise<OpenLoopDone> {
  const { url, connections, perSecond, durationMs, outstanding, entities, told, drainMs } = options;
  const answers = new Map<string, number>();
  const latenciesMs: number[] = [];
  let [offered, sent, waiting, next] = [0, 0, 0, 0];
  const onAnswer = (entity: number, sentMs: number, status: number, body: Record<string, unknown>): void => {
    waiting -= 1;
    const what = `${status} ${String(body.code ?? body.durability ?? '')}`;
    answers.set(what, (answers.get(what) ?? 0) + 1);
    told.note(entity, { status, sent: true, body });
    if (status === 200) latenciesMs.push(performance.now() - sentMs);
  };
  const clients = Array.from({ length: connections }, () => new PipedClient(Number(new URL(url).port), onAnswer));
  const startMs = performance.now();
  let lastMs = startMs;
  while (performance.now() - startMs < durationMs) {
    const nowMs = performance.now();
    const due = Math.min(perSecond * ((nowMs - lastMs) / 1_000), outstanding);
    // Less than one is due later.
    if (due >= 1) {
      lastMs = nowMs;
      offered += Math.round(due);
      for (let count = Math.min(Math.round(due), outstanding - waiting); count > 0; count -= 1) {
        clients[next % clients.length]!.send(entities[next % entities.length]!);
        next += 1;
        sent += 1;
        waiting += 1;
      }
    }
    await new Promise((resolve) => setTimeout(resolve, TICK_MS));
  }
  for (const endMs = performance.now() + drainMs; waiting > 0 && performance.now() < endMs; ) {
    await new Promise((resolve) => setTimeout(resolve, TICK_MS));
  }
  const tookMs = performance.now() - startMs;
  for (const client of clients) client.close();
  const acknowledged = latenciesMs.length;
  return { offered, sent, acknowledged, answers, latenciesMs, perSecond: acknowledged / (tookMs / 1_000) };
}

type OnAnswer = (entity: number, sentMs: number, status: number, body: Record<string, unknown>) => void;

class PipedClient {
  private readonly port: number;
  private readonly onAnswer: OnAnswer;
  private socket: Socket | undefined;
  private waiting: { readonly entity: number; readonly sentMs: number }[] = [];

  constructor(port: number, onAnswer: OnAnswer) {
    this.port = port;
    this.onAnswer = onAnswer;
  }

  send(entity: number): void {
    const body = JSON.stringify({ entity_id: entity, signal: 'view' });
    this.socket ??= this.open();
    this.waiting.push({ entity, sentMs: performance.now() });
    this.socket.write(
      `POST /signals HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
  }

  close(): void {
    this.socket?.destroy();
    this.lose();
  }

  private open(): Socket {
    const socket = connect({ port: this.port, host: '127.0.0.1', noDelay: true });
    const reader = new AnswerReader();
    socket.on('data', (data: Buffer) => {
      reader.add(data);
      for (let answer = reader.next(false); answer !== undefined; answer = reader.next(false)) {
        const { entity, sentMs } = this.waiting.shift()!;
        this.onAnswer(entity, sentMs, answer.status, JSON.parse(answer.body.toString()) as Record<string, unknown>);
      }
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      if (this.socket !== socket) return;
      this.socket = undefined;
      this.lose();
    });
    return socket;
  }

  /** What was sent and not answered may count once or not at all. */
  private lose(): void {
    for (const { entity, sentMs } of this.waiting.splice(0)) this.onAnswer(entity, sentMs, 0, { code: 'no answer' });
  }
}
