/**
 * Request bodies being received. A request does not count as in progress while its body is being read: a few thousand uploads that
 * never end hold only their sockets, until the time limit for receiving a request.
 *
 * Their number is limited as well, shared by address: one beyond the limit ends the oldest of the address that has the most. So
 * stalled uploads are ended in favour of active ones, and an address loses none while another has more.
 */
import type { Context } from 'koa';
import { Refusal } from '../errors/errors.ts';
import type { Metrics } from '../observe/metrics.ts';

export interface ArrivingBody {
  /** Called when reading begins: the request is not in progress meanwhile. `end` is called if it has to be ended, but never after `arrived`. */
  arriving(end: (refusal: Refusal) => void): void;
  /** Called when it was received, or is no longer waited for. */
  left(): void;
  /** Called when it was received: the request is in progress again. Throws if too many are. */
  arrived(): void;
}

/** The count of requests in progress. */
export interface Progress {
  leave(): void;
  /** Throws if there are too many. */
  admit(): void;
}

const ADDRESSES = 1_024;

interface Arrival {
  readonly address: string;
  readonly end: (refusal: Refusal) => void;
}

export class ArrivingBodies {
  private readonly limit: number;
  /** Oldest first. An address is kept for its next request, unless there are many. */
  private readonly byAddress = new Map<string, Set<Arrival>>();
  private readonly ended;
  private count = 0;

  constructor({ limit, metrics }: { readonly limit: number; readonly metrics: Metrics }) {
    this.limit = limit;
    metrics.gauge({
      name: 'tidal_http_bodies_arriving',
      help: 'Request bodies on their way.',
      read: () => this.count,
    });
    this.ended = metrics.counter({
      name: 'tidal_http_bodies_ended_total',
      help: 'Request bodies on their way that gave way to a newer one.',
    });
  }

  of(address: string, progress: Progress): ArrivingBody {
    let arrival: Arrival | undefined;
    const left = (): void => {
      if (arrival !== undefined) this.remove(arrival);
      arrival = undefined;
    };
    return {
      arriving: (end) => {
        if (this.count >= this.limit) this.endOldest();
        arrival = {
          address,
          end: (refusal) => {
            left();
            end(refusal);
          },
        };
        this.add(arrival);
        progress.leave();
      },
      left,
      arrived: () => {
        left();
        progress.admit();
      },
    };
  }

  private endOldest(): void {
    const most = [...this.byAddress.values()].reduce((a, b) => (b.size > a.size ? b : a));
    const [oldest] = most;
    this.ended.inc();
    oldest?.end(
      new Refusal(
        'overloaded',
        `${this.limit} request bodies are already being received, this one for the longest time`,
        {
          hint: 'send the body at once',
        },
      ),
    );
  }

  private add(arrival: Arrival): void {
    const same = this.byAddress.get(arrival.address);
    if (same === undefined) this.byAddress.set(arrival.address, new Set([arrival]));
    else same.add(arrival);
    this.count++;
  }

  private remove(arrival: Arrival): void {
    const same = this.byAddress.get(arrival.address);
    if (same?.delete(arrival) !== true) return;
    if (same.size === 0 && this.byAddress.size > ADDRESSES) this.byAddress.delete(arrival.address);
    this.count--;
  }
}

/** For a request that has a body. */
export function arrivingBodyOf(ctx: Context): ArrivingBody | undefined {
  return ctx.state.arrivingBody as ArrivingBody | undefined;
}
