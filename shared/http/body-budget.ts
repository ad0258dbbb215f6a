/** Limits the memory of all write bodies together: thousands of requests of 2 MiB each would not fit. */
import { Refusal } from '../errors/errors.ts';
import type { BudgetOptions } from './answer-budget.ts';
import { AddressBytes } from './overload/address-bytes.ts';

/** The share of one request in the budget. */
export interface BodyShare {
  /**
   * Throws `overloaded` if the budget is used up, `body_too_large` if this request alone exceeds it; then nothing is reserved.
   */
  readonly take: (bytes: number) => void;
  readonly giveBack: () => void;
}

export class BodyBudget {
  private readonly limitBytes: number;
  private readonly byAddress: AddressBytes;
  private usedBytes = 0;

  constructor({ limitBytes, addressLimitBytes = 0, metrics }: BudgetOptions) {
    this.limitBytes = limitBytes;
    this.byAddress = new AddressBytes(addressLimitBytes);
    metrics.gauge({
      name: 'tidal_http_body_bytes',
      help: 'Bytes of write bodies in memory.',
      read: () => this.usedBytes,
    });
  }

  /** `address`: of the client, if addresses have a limit. */
  share(address = ''): BodyShare {
    let taken = 0;
    return {
      take: (bytes) => {
        if (taken + bytes > this.limitBytes) {
          throw new Refusal('body_too_large', `all bodies together are limited to ${this.limitBytes} bytes`, {
            hint: 'send it in smaller parts',
          });
        }
        if (this.usedBytes + bytes > this.limitBytes) {
          throw new Refusal('overloaded', `${this.usedBytes} bytes of bodies are already in memory`, {
            hint: 'send less at one time',
          });
        }
        if (!this.byAddress.fits(address, bytes)) {
          throw new Refusal('overloaded', 'too many bytes of bodies of this address are already in memory', {
            hint: 'send less at one time',
          });
        }
        this.byAddress.add(address, bytes);
        this.usedBytes += bytes;
        taken += bytes;
      },
      giveBack: () => {
        this.usedBytes -= taken;
        this.byAddress.remove(address, taken);
        taken = 0;
      },
    };
  }
}
