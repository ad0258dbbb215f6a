/**
 * Limits the memory of all answers together: without it, the answers to a client that requests pages faster than it reads them
 * would accumulate.
 */
import type { Context } from 'koa';
import { Refusal } from '../errors/errors.ts';
import type { Metrics } from '../observe/metrics.ts';
import { AddressBytes } from './overload/address-bytes.ts';

export interface BudgetOptions {
  readonly limitBytes: number;
  /** Of one client address; absent or 0: none. */
  readonly addressLimitBytes?: number | undefined;
  readonly metrics: Metrics;
}

export interface AnswerShare {
  /** Reserves this many bytes in all for the answer. Throws `overloaded` if they exceed the budget; then nothing is reserved. */
  grow(bytes: number): void;
  giveBack(): void;
  readonly taken: number;
}

export class AnswerBudget {
  private readonly limitBytes: number;
  private readonly byAddress: AddressBytes;
  private usedBytes = 0;

  constructor({ limitBytes, addressLimitBytes = 0, metrics }: BudgetOptions) {
    this.limitBytes = limitBytes;
    this.byAddress = new AddressBytes(addressLimitBytes);
    metrics.gauge({
      name: 'tidal_http_answer_bytes',
      help: 'Bytes of answers in memory.',
      read: () => this.usedBytes,
    });
  }

  /** `address`: of the client. */
  share(address: string): AnswerShare {
    let taken = 0;
    return {
      get taken() {
        return taken;
      },
      grow: (bytes) => {
        const more = Math.max(0, bytes - taken);
        const hint = 'read answers as they arrive, and request less at a time';
        if (this.usedBytes + more > this.limitBytes) {
          throw new Refusal('overloaded', `${this.usedBytes} bytes of answers are already being sent to clients`, {
            hint,
          });
        }
        if (!this.byAddress.fits(address, more)) {
          throw new Refusal('overloaded', 'too many bytes of answers are already being sent to this address', { hint });
        }
        this.byAddress.add(address, more);
        this.usedBytes += more;
        taken += more;
      },
      giveBack: () => {
        this.usedBytes -= taken;
        this.byAddress.remove(address, taken);
        taken = 0;
      },
    };
  }
}

/** The budget of the request's answer, for an answer whose bytes are in memory before they become its body. */
export function answerShareOf(ctx: Context): AnswerShare {
  return ctx.state.answerShare as AnswerShare;
}
