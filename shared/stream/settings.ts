/** The only table of stream and bucket settings, and of the connection's limits. */
import { subjectPatterns } from './stream.ts';

export const STREAM_NAME = 'TIDAL_WAL';
export const CONTROL_BUCKET = 'TIDAL_CONTROL';
export const LEADERSHIP_KEY = 'leadership';
/** Header of a message with the MAC of its bytes; processes that know none ignore it. */
export const MAC_HEADER = 'Tidal-Mac';

export const connection = {
  /** Pause between two tries to connect, without end: the library's default gives up after ten. */
  reconnectTimeWaitMs: 250,
  /** A server that has sent nothing by then is unreachable. */
  probeTimeoutMs: 2_000,
  /** Limit from there to a connection; longer, because a process that is recovering its state is busy for seconds. */
  connectTimeoutMs: 5_000,
  pingIntervalMs: 2_000,
  maxPingOut: 2,
  /** A publish or request without an answer by then has an unknown outcome. */
  requestTimeoutMs: 2_000,
  /** Bytes below the server's max_payload for headers. */
  headerRoomBytes: 8 * 1024,
} as const;

export const consumer = {
  /** Heartbeats distinguish a quiet stream from a dead consumer. */
  idleHeartbeatMs: 1_000,
  /** Prefetched messages: the bound of the receive buffer. */
  maxMessages: 64,
  /** The server removes an ephemeral consumer this long after its client has disconnected. */
  inactiveThresholdMs: 10_000,
} as const;

export interface StreamSettings {
  /** Largest stored size of the stream, bytes; the oldest messages are removed first. */
  readonly maxBytes: number;
  /** How many servers keep a copy; absent: 1. */
  readonly replicas?: number;
}

/** Settings that neither stream uses. An update without them would mean the same; listed, they are compared. */
const unlimited = {
  max_age: 0,
  max_consumers: -1,
  max_msg_size: -1,
  no_ack: false,
  sealed: false,
  deny_purge: false,
  discard_new_per_subject: false,
} as const;

/** Settings that neither stream may have: sources of other messages, or copies of its messages elsewhere. */
export const absentSettings = ['mirror', 'sources', 'republish', 'subject_transform'] as const;

/** The stream's configuration as the server takes it. `duplicate_window` does not matter: no message carries an id. */
export function streamConfiguration(settings: StreamSettings): Readonly<Record<string, unknown>> {
  return {
    name: STREAM_NAME,
    subjects: subjectPatterns,
    retention: 'limits',
    storage: 'file',
    discard: 'old',
    max_bytes: settings.maxBytes,
    max_msgs: -1,
    ...unlimited,
    num_replicas: settings.replicas ?? 1,
    max_msgs_per_subject: -1,
    allow_rollup_hdrs: false,
    // A direct get may return a state from before the last acknowledgement; the shipper's mark must not.
    allow_direct: false,
    // After the deletion of a last message some servers report an empty subject although older messages exist.
    deny_delete: true,
  };
}

/**
 * The control bucket's stream, readable by every KV client. No `first_seq`, which would make the revisions of two buckets differ:
 * nats-server 2.10.27 empties a stream that has one at each restart.
 */
export function bucketConfiguration({
  replicas = 1,
}: Pick<StreamSettings, 'replicas'>): Readonly<Record<string, unknown>> {
  return {
    name: `KV_${CONTROL_BUCKET}`,
    subjects: [`$KV.${CONTROL_BUCKET}.>`],
    retention: 'limits',
    storage: 'file',
    discard: 'new',
    max_bytes: -1,
    max_msgs: -1,
    ...unlimited,
    // The last leaderships stay readable for the analysis of an incident.
    max_msgs_per_subject: 16,
    num_replicas: replicas,
    allow_direct: false,
    allow_rollup_hdrs: true,
    deny_delete: true,
  };
}
