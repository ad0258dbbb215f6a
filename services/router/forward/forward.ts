/** Writes on their way from a client's request to the leader's answer. Contract of this room. */
import type { Durability, WriteAccepted } from '../../../shared/protocol/internal.ts';
import type { PackedSignals } from '../../../shared/protocol/packed-signals.ts';
import type { WireWrite } from '../../../shared/protocol/writes.ts';

/** One client request with writes. */
export interface Submission {
  readonly writes: readonly WireWrite[];
  /** Beside no writes: a bulk of signals without keys. */
  readonly signals?: PackedSignals;
  /** What they take in an internal request, an estimate from above. */
  readonly bytes: number;
  /** All or nothing, and alone in its internal request. */
  readonly atomic: boolean;
  /** The least the client accepts. */
  readonly durability: Durability;
  readonly requestId: string;
  /** The client may send it again under its idempotency key, whatever the outcome. */
  readonly keyed?: boolean;
  /** Names write `index` of a bulk as the client knows it: `line 3` or `[2]`. */
  readonly label?: (index: number) => string;
}

export interface WriteForwarding {
  /** The leader's answer; throws a `Refusal`, whose status says whether anything may have changed. */
  submit(submission: Submission): Promise<WriteAccepted>;
}
