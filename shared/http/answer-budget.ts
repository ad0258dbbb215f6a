/**
 * Limits the memory of all answers together: without it, the answers to a client that requests pages faster than it reads them
 * would accumulate.
 */
import type { Context } from 'koa';
import { Refusal } from '../errors/errors.ts';
import type { Metrics } from '../observe/metrics.ts';

export interface AnswerShare {
  /** Reserves this many bytes in all for the answer. Throws `overloaded` if they exceed the budget; then nothing is reserved. */
  grow(bytes: number): void;
  giveBack(): void;
  readonly taken: number;
}

export class AnswerBudget {
  private readonly limitBytes: number;
  private usedBytes = 0;

  constructor({ limitBytes, metrics }: { readonly limitBytes: number; readonly metrics: Metrics }) {
    this.limitBytes = limitBytes;
    metrics.gauge({
      name: 'tidal_http_answer_bytes',
      help: 'Bytes of answers in memory.',
      read: () => this.usedBytes,
    });
  }

  share(): AnswerShare {
    let taken = 0;
    return {
      get taken() {
        return taken;
      },
      grow: (bytes) => {
        const more = Math.max(0, bytes - taken);
        if (this.usedBytes + more > this.limitBytes) {
          throw new Refusal('overloaded', `${this.usedBytes} bytes of answers are already being sent to clients`, {
            hint: 'read answers as they arrive, and request less at a time',
          });
        }
        this.usedBytes += more;
        taken += more;
      },
      giveBack: () => {
        this.usedBytes -= taken;
        taken = 0;
      },
    };
  }
}

/** The budget of the request's answer, for an answer whose bytes are in memory before they become its body. */
export function answerShareOf(ctx: Context): AnswerShare {
  return ctx.state.answerShare as AnswerShare;
}
