/**
 * Intake: where a write becomes an event. Only the leader of the present epoch takes writes.
 *
 * Order of effects: gate (leader? epoch? handing over? room?) → validate against the schema → look up the idempotency
 * key (taken before: answer as then; waiting: wait for it; another body: refuse) → wait for the group → gate again → stamp a hybrid logical clock and a sequence → append and flush → apply → ship → answer. Everything that
 * can be refused is refused before the sequence is given (invariant 8); a sequence is never given twice, nor left out
 * (invariant 2).
 *
 * What a crash leaves: before the append nothing; after it events that are replayed and shipped at the next start, whose
 * writers never got an answer.
 */
import type { Refusal } from '../../../shared/errors/errors.ts';
import type { Durability, WritesReply } from '../../../shared/protocol/internal.ts';
import type { Position } from '../../../shared/protocol/position.ts';
import type { Bulk } from './bulk.ts';

export interface IntakeRequest {
  readonly epoch: number;
  /** All or nothing. */
  readonly atomic: boolean;
  /** The least the client accepts. */
  readonly durability: Durability;
  /** Signals by column are always atomic. */
  readonly bodies: Bulk;
}

/** What the role says of accepting at this moment: the epoch to accept in, or the refusal. */
export type Gate = { readonly epoch: number } | Refusal;

export interface Intake {
  /** Throws a `Refusal` when nothing of the request was taken; otherwise one result a write. */
  submit(request: IntakeRequest): Promise<WritesReply>;
  /**
   * Resolves once nothing that was admitted before the call is unfinished: everything accepted is durable. Called after
   * the gate closed; answers the durable position.
   */
  drain(): Promise<Position>;
  /** Events waiting for their group commit. */
  readonly waiting: number;
  /** Their bytes as they will be logged. */
  readonly waitingBytes: number;
  /** Settles, then takes nothing more. */
  stop(): Promise<void>;
}
