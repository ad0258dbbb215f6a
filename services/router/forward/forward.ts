/** Forwards writes from a client's request to the leader. Contract of this folder. */
import type { Durability, WriteAccepted } from '../../../shared/protocol/internal.ts';
import type { PackedSignals } from '../../../shared/protocol/packed-signals.ts';
import type { WireWrite } from '../../../shared/protocol/writes.ts';

/** One client request with writes. */
export interface Submission {
  readonly writes: readonly WireWrite[];
  /** Instead of `writes`: a bulk of signals without keys. */
  readonly signals?: PackedSignals;
  /** Upper bound of their size in an internal request. */
  readonly bytes: number;
  /** All or nothing, and alone in its internal request. */
  readonly atomic: boolean;
  /** The durability that the client requires. */
  readonly durability: Durability;
  readonly requestId: string;
  /** The client may send it again under its idempotency key, whatever the outcome. */
  readonly keyed?: boolean;
  /** Whose key it is; of a request with one. */
  readonly client?: string | undefined;
  /** Name of write `index` of a bulk for the client: `line 3` or `[2]`. */
  readonly label?: (index: number) => string;
}

export interface WriteForwarding {
  /** The leader's answer; throws a `Refusal`, whose status says whether anything may have changed. */
  submit(submission: Submission): Promise<WriteAccepted>;
}
