/** The one table of stream and bucket settings, and of the connection's limits. */

export const STREAM_NAME = 'TIDAL_WAL';
export const CONTROL_BUCKET = 'TIDAL_CONTROL';
export const LEADERSHIP_KEY = 'leadership';

export const connection = {
  /** Between two tries to connect, for ever: the library's own default gives up after ten. */
  reconnectTimeWaitMs: 250,
  /** A server that has said nothing by then is not there. */
  probeTimeoutMs: 2_000,
  /** From there to a connection; longer, because a process that is recovering its state is busy for seconds. */
  connectTimeoutMs: 5_000,
  pingIntervalMs: 2_000,
  maxPingOut: 2,
  /** A publish or request without an answer by then has an unknown outcome. */
  requestTimeoutMs: 2_000,
  /** Room below the server's max_payload for headers. */
  headerRoomBytes: 8 * 1024,
} as const;

export const consumer = {
  /** Heartbeats tell a quiet stream from a dead consumer. */
  idleHeartbeatMs: 1_000,
  /** Messages asked for ahead: the receive buffer's bound. */
  maxMessages: 64,
  /** The server forgets an ephemeral consumer this long after its client is gone. */
  inactiveThresholdMs: 10_000,
} as const;

export interface StreamSettings {
  /** Largest stored size of the stream, bytes; the oldest messages go first. */
  readonly maxBytes: number;
}

/** What neither stream limits or switches on. An update without these would mean the same; named, they are compared. */
const unlimited = {
  max_age: 0,
  max_consumers: -1,
  max_msg_size: -1,
  no_ack: false,
  sealed: false,
  deny_purge: false,
  discard_new_per_subject: false,
} as const;

/** What neither stream may have: others' messages in it, or its messages elsewhere. */
export const absentSettings = ['mirror', 'sources', 'republish', 'subject_transform'] as const;

/** The stream's configuration as the server takes it. `duplicate_window` does not matter: no message carries an id. */
export function streamConfiguration(settings: StreamSettings): Readonly<Record<string, unknown>> {
  return {
    name: STREAM_NAME,
    subjects: ['tidal.wal.*'],
    retention: 'limits',
    storage: 'file',
    discard: 'old',
    max_bytes: settings.maxBytes,
    max_msgs: -1,
    ...unlimited,
    num_replicas: 1,
    max_msgs_per_subject: -1,
    allow_rollup_hdrs: false,
    // A direct get may answer from before the last acknowledgement; the shipper's mark must not.
    allow_direct: false,
    // A deleted last message makes some servers say a subject is empty although older messages stand.
    deny_delete: true,
  };
}

/**
 * The control bucket's stream, readable by every KV client. No `first_seq`, tempting as it is to make the revisions of two
 * buckets differ: nats-server 2.10.27 empties a stream that has one at each restart.
 */
export const bucketConfiguration: Readonly<Record<string, unknown>> = {
  name: `KV_${CONTROL_BUCKET}`,
  subjects: [`$KV.${CONTROL_BUCKET}.>`],
  retention: 'limits',
  storage: 'file',
  discard: 'new',
  max_bytes: -1,
  max_msgs: -1,
  ...unlimited,
  // The last leaderships stay readable for whoever looks into an incident.
  max_msgs_per_subject: 16,
  num_replicas: 1,
  allow_direct: false,
  allow_rollup_hdrs: true,
  deny_delete: true,
};
