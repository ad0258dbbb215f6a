/** Polls the peers for their positions every second. See `peers.ts`. */
import { type Clock, sleep } from '../../../shared/kernel/kernel.ts';
import { POLL_MS } from '../../../shared/protocol/deadlines.ts';
import type { PeerLink, Peers, PeerView } from './peers.ts';

export interface PeersOptions {
  readonly clock: Clock;
  readonly links: readonly PeerLink[];
}

export function createPeers(options: PeersOptions): Peers {
  return new PolledPeers(options);
}

class PolledPeers implements Peers {
  private readonly options: PeersOptions;
  private readonly known = new Map<string, PeerView>();
  private readonly listeners: (() => void)[] = [];
  private readonly stopped = new AbortController();
  private loop: Promise<void> = Promise.resolve();
  private polling: Promise<void> | undefined;
  asked = false;

  constructor(options: PeersOptions) {
    this.options = options;
  }

  get views(): ReadonlyMap<string, PeerView> {
    return this.known;
  }

  get expected(): number {
    return this.options.links.length;
  }

  onPolled(listener: () => void): void {
    this.listeners.push(listener);
  }

  start(): void {
    this.loop = this.run();
  }

  private async run(): Promise<void> {
    while (!this.stopped.signal.aborted) {
      await this.poll();
      await sleep(this.options.clock, POLL_MS, this.stopped.signal);
    }
  }

  poll(): Promise<void> {
    this.polling ??= this.pollAll().finally(() => {
      this.polling = undefined;
    });
    return this.polling;
  }

  private async pollAll(): Promise<void> {
    await Promise.all(this.options.links.map((link) => this.ask(link)));
    if (this.stopped.signal.aborted) return;
    this.asked = true;
    for (const listener of this.listeners) listener();
  }

  private async ask(link: PeerLink): Promise<void> {
    const { clock } = this.options;
    try {
      const status = await link.status();
      const clockOffsetMs = status.clockMs - clock.nowMs();
      this.known.set(link.region, { status, atMs: clock.monotonicMs(), clockOffsetMs, reachable: true });
    } catch {
      const last = this.known.get(link.region);
      if (last !== undefined) this.known.set(link.region, { ...last, reachable: false });
    }
  }

  async stop(): Promise<void> {
    this.stopped.abort();
    await this.loop;
  }
}
