/** What a region is assembled from. */
import type { InternalKeys } from '../../shared/credentials/internal-keys.ts';
import type { TlsValues } from '../../shared/credentials/tls-settings.ts';
import type { Clock, Random } from '../../shared/kernel/kernel.ts';
import type { Turns } from '../../shared/kernel/turns.ts';
import type { Log } from '../../shared/observe/log.ts';
import type { Metrics } from '../../shared/observe/metrics.ts';
import type { BrokerValues } from '../../shared/stream/broker-access.ts';
import type { Control, Stream } from '../../shared/stream/stream.ts';
import type { StateLimits } from './intake/intake.ts';
import type { PeerLink } from './peers/peers.ts';
import type { Rebuild } from './rebuild/rebuild.ts';
import type { RegionConfig } from './region-config.ts';
import type { Schema } from './schema/schema.ts';
import type { ArrivedSnapshot } from './snapshot/snapshot.ts';
import type { OpenVectorWorker } from './state/vectors/vector-worker.ts';
import type { Store, StoreHome } from './store/store.ts';
import type { WorkLimits } from './turn-share/turn-share.ts';

/** Settings of the process around a region: its sockets, its connections, where its files are. */
type ProcessSettings =
  | (
      | 'listen'
      | 'topologyFile'
      | 'dataDir'
      | 'natsUrl'
      | 'streamReplicas'
      | 'logLevel'
      | 'streamMaxBytes'
      | 'handOverMs'
    )
  | ('maxEntities' | 'maxPairs' | 'maxFields' | 'maxMemoryBytes' | 'cursorSecret')
  | ('internalSecret' | 'internalSecretFile' | 'insecureInternal')
  | keyof BrokerValues
  | keyof TlsValues
  | ('maxInFlight' | 'maxArrivingBodies' | 'maxAnswersBytes' | 'keepAliveMs' | 'maxConnections');

export interface RegionOptions extends Omit<RegionConfig, ProcessSettings> {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Absent: turns of the event loop are not watched. */
  readonly turns?: Turns | undefined;
  /** The open store of `home`. */
  readonly store: Store;
  readonly home: Pick<StoreHome, 'copy' | 'incoming'>;
  readonly stream: Stream;
  readonly control: Control;
  /** Its own key for heartbeats; absent: failover is manual. */
  readonly alive?: Control | undefined;
  readonly schema: Schema;
  /** To every other region of the topology. */
  readonly links: readonly PeerLink[];
  /** Regions whose origins are accepted, present and former; absent: any. */
  readonly regions?: readonly string[];
  /** Absent: the state has no limits. */
  readonly stateLimits?: StateLimits;
  /** Of the cluster; absent: requests and messages carry no credential, and none is demanded. */
  readonly internalKeys?: InternalKeys | undefined;
  /** The same in every region; absent or empty: derived from the internal secret. See `pages/signed-cursors.ts`. */
  readonly cursorSecret?: string;
  /**
   * A peer's snapshot was fetched and can replace the store: the receiver stops this region, merges its store into the copy, and
   * starts it on the copy.
   */
  readonly onArrived: (arrived: ArrivedSnapshot) => void;
  /** Opens the vector index: in a thread of its own, or in this one. */
  readonly openVectors: OpenVectorWorker;
  /** Builds filter index and text index of many items at a start; absent: items are indexed one by one. */
  readonly openRebuild?: () => Rebuild;
  /** Monotonic ms before which no snapshot is fetched; absent: at once. */
  readonly snapshotsNotBeforeMs?: number;
  /** Runs the action in the next turn of the event loop; absent: by the clock. */
  readonly nextTurn?: (action: () => void) => void;
  /** How much is received in one turn and one transaction; absent: what suits real machines. */
  readonly receiveLimits?: WorkLimits;
  /** The process must end at once, without answering. */
  readonly onFatal: (error: unknown) => void;
}
