/** What a drill does to a cluster, and asks of it. `http-surface.ts` does it through a router; tests have a simulated one. */
import type { ClusterHealth, ClusterStatus, VerifyAnswer } from '../../services/router/cluster/cluster.ts';

/** How one request of the load ended. */
export interface Answered {
  /** `refused`: answered, and nothing was changed. `unknown`: a write may count or not. */
  readonly outcome: 'done' | 'refused' | 'unknown';
  /** The code of the problem, or why there was no answer. */
  readonly code?: string;
}

export interface SignalWrite {
  readonly entity: number;
  readonly signal: string;
  /** In thousandths. */
  readonly milliweight: number;
  readonly key: string | undefined;
}

export interface Removal {
  /** Not removed, or not known to be. */
  readonly left: readonly number[];
  /** Why, of the last of them; empty if there is none. */
  readonly why: string;
}

/** Methods throw `CommandError` with a sentence, unless they say otherwise. */
export interface Surface {
  status(): Promise<ClusterStatus>;
  health(): Promise<ClusterHealth>;
  verify(): Promise<VerifyAnswer>;
  partition(region: string, healAfterMs: number): Promise<void>;
  /** `wait`: until both sides have what the other had. */
  heal(region: string, wait: boolean): Promise<void>;
  promote(region: string, force: boolean): Promise<void>;
  /** Never throws. */
  write(write: SignalWrite): Promise<Answered>;
  /** A page of a feed. Never throws. */
  read(): Promise<Answered>;
  /** Puts items, so that their sums can be read. */
  putItems(entities: readonly number[], title: string): Promise<void>;
  /** Removes those that it can; never throws. */
  removeItems(entities: readonly number[]): Promise<Removal>;
  /** The region's sums of the signal over all time, in thousandths, by entity; 0 for those without. */
  sums(region: string, entities: readonly number[], signal: string): Promise<ReadonlyMap<number, number>>;
  /** Takes the lease, or extends one's own. `ended`: it was taken away, by `tidal drill stop` or after it expired. */
  holdLease(drill: { readonly id: string; readonly title: string }): Promise<'held' | 'ended'>;
  endLease(id: string): Promise<void>;
}

/** The processes of a cluster on this machine, or in containers. `process`: a region, `router` or `nats`. */
export interface Processes {
  /** Ends it at once, and keeps it from starting for `ms`. */
  kill(process: string, ms: number): Promise<void>;
  /** Stops it in order, and keeps it from starting for `ms`. */
  stop(process: string, ms: number): Promise<void>;
  pause(process: string, ms: number): Promise<void>;
  /** Starts or resumes it. */
  start(process: string): Promise<void>;
  /** Stops it in order and starts it again. */
  restart(process: string): Promise<void>;
  /** Stops NATS, removes what it has stored, and starts it. */
  wipeNats(): Promise<void>;
  /** Starts and resumes all. */
  startAll(): Promise<void>;
}
