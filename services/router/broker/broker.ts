/**
 * The broker's own metrics: nats-server has a monitoring port that answers JSON, not Prometheus' text, so the router translates
 * at each scrape. Contract of this folder.
 */

export interface BrokerMetrics {
  /** The answer of `GET /metrics/nats`. A broker that does not answer is not an error: `tidal_nats_up` is 0. */
  render(): Promise<{ readonly contentType: string; readonly text: string }>;
}

/** The used fields of the broker's `/varz`. Counters start with its process. */
export interface ServerFacts {
  readonly server_name: string;
  /** RFC 3339. */
  readonly start: string;
  readonly connections: number;
  /** Resident bytes. */
  readonly mem: number;
  readonly in_msgs: number;
  readonly out_msgs: number;
  readonly in_bytes: number;
  readonly out_bytes: number;
  readonly slow_consumers: number;
}

/** The used fields of the broker's `/jsz?streams=true`. */
export interface JetStreamFacts {
  /** Bytes of all streams on its disk. */
  readonly storage: number;
  readonly config: { readonly max_storage: number };
  readonly api: { readonly total: number; readonly errors: number };
  /** Absent while there is no stream. */
  readonly account_details?: readonly { readonly stream_detail?: readonly StreamFacts[] }[];
}

export interface StreamFacts {
  readonly name: string;
  readonly state: {
    readonly messages: number;
    readonly bytes: number;
    readonly first_seq: number;
    readonly last_seq: number;
    readonly consumer_count: number;
  };
}

export interface BrokerFacts {
  readonly server: ServerFacts;
  readonly jetStream: JetStreamFacts;
}

/** The broker's answers, or a `Fault`. */
export type AskBroker = () => Promise<BrokerFacts>;
