/**
 * Limits connections by the address of their client, so that one client cannot use all of them. The address is the kernel's:
 * behind a balancer, or a container engine's port forwarding, many clients have one.
 */
import type { Socket } from 'node:net';
import type { Metrics } from '../../observe/metrics.ts';

export interface AddressLimitOptions {
  /** Limit of open connections of one address; 0: none. */
  readonly limit: number;
  readonly metrics: Metrics;
}

export class AddressLimit {
  private readonly limit: number;
  private readonly open = new Map<string, number>();
  private readonly refused;

  constructor({ limit, metrics }: AddressLimitOptions) {
    this.limit = limit;
    this.refused = metrics.counter({
      name: 'tidal_http_address_connections_refused_total',
      help: 'Connections closed at once because their client’s address had as many as one may have.',
    });
  }

  /** Counts it until it closes; false if its address is at the limit, and then it is not counted. */
  admits(socket: Socket): boolean {
    if (this.limit === 0) return true;
    const address = socket.remoteAddress ?? '';
    const open = this.open.get(address) ?? 0;
    if (open >= this.limit) {
      this.refused.inc();
      return false;
    }
    this.open.set(address, open + 1);
    socket.once('close', () => {
      const left = (this.open.get(address) ?? 1) - 1;
      if (left > 0) this.open.set(address, left);
      else this.open.delete(address);
    });
    return true;
  }
}
