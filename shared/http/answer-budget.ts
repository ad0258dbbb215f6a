/**
 * How much of all answers together may be in memory: a client that asks for pages faster than it reads them would have them
 * all kept for it.
 */
import type { Context } from 'koa';
import { Refusal } from '../errors/errors.ts';
import type { Metrics } from '../observe/metrics.ts';

export interface AnswerShare {
  /** The answer takes so many bytes in all. Throws `overloaded` where there is no room for them; nothing is taken then. */
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
      collect: (gauge) => gauge.set(this.usedBytes),
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

/** Of the request's answer; for an answer whose bytes are in memory before they are its body. */
export function answerShareOf(ctx: Context): AnswerShare {
  return ctx.state.answerShare as AnswerShare;
}
