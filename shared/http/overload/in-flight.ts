/** Limits the requests being answered, of the process and of one client address: what is admitted keeps its share of the process. */
import { Refusal } from '../../errors/errors.ts';
import type { Metrics } from '../../observe/metrics.ts';

export interface InFlightOptions {
  readonly limit: number;
  /** For one client address; 0: none. */
  readonly addressLimit: number;
  readonly metrics: Metrics;
}

export class InFlight {
  private readonly options: InFlightOptions;
  private readonly byAddress = new Map<string, number>();
  private readonly busy: Refusal;
  private readonly addressBusy: Refusal;
  private count = 0;

  constructor(options: InFlightOptions) {
    this.options = options;
    const { limit, addressLimit, metrics } = options;
    this.busy = new Refusal('overloaded', `${limit} requests are already in flight`);
    this.addressBusy = new Refusal('overloaded', `${addressLimit} requests of this address are already in flight`, {
      hint: 'make fewer requests at one time',
    });
    metrics.gauge({
      name: 'tidal_http_requests_in_flight',
      help: 'HTTP requests being answered now.',
      read: () => this.count,
    });
    metrics.gauge({
      name: 'tidal_http_address_requests_in_flight',
      help: 'HTTP requests being answered now of the client address that has the most.',
      read: () => Math.max(0, ...this.byAddress.values()),
    });
  }

  /** Why a request of this address cannot be answered now; undefined if it can. */
  refusalOf(address: string): Refusal | undefined {
    const { limit, addressLimit } = this.options;
    if (this.count >= limit) return this.busy;
    return addressLimit > 0 && (this.byAddress.get(address) ?? 0) >= addressLimit ? this.addressBusy : undefined;
  }

  /** Counts the request until the returned function is called. */
  begin(address: string): () => void {
    this.count += 1;
    this.byAddress.set(address, (this.byAddress.get(address) ?? 0) + 1);
    return () => {
      this.count -= 1;
      const left = this.byAddress.get(address)! - 1;
      if (left > 0) this.byAddress.set(address, left);
      else this.byAddress.delete(address);
    };
  }
}
