/**
 * Connections by the address of their client, so that one client does not hold all there are. An address is what the kernel
 * says: behind a balancer, or a container engine's port forwarding, many clients have one.
 */
import type { Socket } from 'node:net';
import type { Metrics } from '../observe/metrics.ts';

export interface AddressLimitOptions {
  /** Open connections of one address; 0: as many as there may be. */
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

  /** Counts it until it closes; false: its address has enough, and it is not counted. */
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
