/** The one table of stream and bucket settings, and of the connection's limits. */

export const STREAM_NAME = 'TIDAL_WAL';
export const CONTROL_BUCKET = 'TIDAL_CONTROL';
export const LEADERSHIP_KEY = 'leadership';

export const connection = {
  /** Reconnects for ever: the library's default of ten tries ends the connection for good. */
  maxReconnectAttempts: -1,
  reconnectTimeWaitMs: 250,
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
