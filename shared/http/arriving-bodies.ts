/**
 * Request bodies on their way. A request is being answered only once its body is here: a few thousand uploads that never end hold
 * nothing but their sockets, until the time for a request's arrival is over.
 *
 * There is a limit on them all the same, and it is shared by address: one too many ends the oldest of the address that has the
 * most. So uploads that stand still give way to those that arrive, and nobody's are ended for somebody else's as long as
 * somebody else has more.
 */
import type { Context } from 'koa';
import { Refusal } from '../errors/errors.ts';
import type { Metrics } from '../observe/metrics.ts';

export interface ArrivingBody {
  /** It is being read from now on. `end` is called, after `arrived` never again, where it has to give way. */
  arriving(end: (refusal: Refusal) => void): void;
  /** It is here, or nothing more of it is waited for. */
  left(): void;
  /** It is here: the request is being answered from now on. Throws where too many are. */
  arrived(): void;
}

const ADDRESSES = 1_024;

interface Arrival {
  readonly address: string;
  readonly end: (refusal: Refusal) => void;
}

export class ArrivingBodies {
  private readonly limit: number;
  /** Oldest first. An address stays for its next request, unless there are many. */
  private readonly byAddress = new Map<string, Set<Arrival>>();
  private readonly ended;
  private count = 0;

  constructor({ limit, metrics }: { readonly limit: number; readonly metrics: Metrics }) {
    this.limit = limit;
    metrics.gauge({
      name: 'tidal_http_bodies_arriving',
      help: 'Request bodies on their way.',
      collect: (gauge) => gauge.set(this.count),
    });
    this.ended = metrics.counter({
      name: 'tidal_http_bodies_ended_total',
      help: 'Request bodies on their way that gave way to a newer one.',
    });
  }

  /** `admit`: counts the request among those being answered; throws where there are too many. */
  of(address: string, admit: () => void): ArrivingBody {
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
      },
      left,
      arrived: () => {
        left();
        admit();
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

/** Of a request that has a body. */
export function arrivingBodyOf(ctx: Context): ArrivingBody | undefined {
  return ctx.state.arrivingBody as ArrivingBody | undefined;
}
