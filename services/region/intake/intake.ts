/**
 * Intake: where a write becomes an event. Only the leader of the present epoch accepts writes.
 *
 * Order of effects: gate (leader? epoch? handing over? capacity?) → validate against the schema → look up the idempotency key
 * (accepted before: answer as then; waiting: wait for it; another body: refuse) → wait for the group → gate again → stamp a
 * hybrid logical clock and a sequence → append and flush → apply → ship → answer. Everything that can be refused is refused
 * before the sequence is assigned (invariant 8); a sequence is never assigned twice, nor skipped (invariant 2).
 *
 * What a crash leaves: before the append nothing; after it events that are replayed and shipped at the next start, and whose
 * writers got no answer.
 */
import type { Refusal } from '../../../shared/errors/errors.ts';
import type { RequestedBody } from '../../../shared/protocol/events.ts';
import type { Durability, WritesReply } from '../../../shared/protocol/internal.ts';
import type { Position } from '../../../shared/protocol/position.ts';
import type { ResidentMemory } from '../resident-memory/resident-memory.ts';
import type { RequestedBulk } from './bulk.ts';

export interface IntakeRequest {
  readonly epoch: number;
  /** All or nothing. */
  readonly atomic: boolean;
  /** The durability that the client requires. */
  readonly durability: Durability;
  /** Signals by column are always atomic. */
  readonly bodies: RequestedBulk | readonly RequestedBody[];
  /** Of each write, or the one of an atomic request: whose keys they are. Absent: unknown. */
  readonly clients?: readonly string[] | undefined;
}

/** Whether writes may be accepted now: the epoch to accept in, or the refusal. */
export type Gate = { readonly epoch: number } | Refusal;

/** How much the state may have before writes that add to it are refused: `state-limit.ts`. */
export interface StateLimits {
  /** Items, and entities that only have signals, embeddings or a tombstone. */
  readonly entities: number;
  /** (item, signal) pairs. */
  readonly pairs: number;
  /** Distinct metadata fields of live items: each has its own sets in the filter index. */
  readonly fields: number;
  /** Undefined: memory has no limit. */
  readonly memory?: ResidentMemory | undefined;
}

export interface Intake {
  /** Throws a `Refusal` if nothing of the request was accepted; otherwise returns one result a write. */
  submit(request: IntakeRequest): Promise<WritesReply>;
  /**
   * Resolves once everything that was admitted before the call is finished: everything accepted is durable. Called after the gate
   * was closed; returns the durable position.
   */
  drain(): Promise<Position>;
  /** Events waiting for their group commit. */
  readonly waiting: number;
  /** Their bytes as they will be logged. */
  readonly waitingBytes: number;
  /** Drains, then accepts nothing more. */
  stop(): Promise<void>;
}
