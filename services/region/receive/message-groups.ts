/**
 * Messages that are received while former ones are appended wait here, and are then handled together: so a flush takes many
 * messages with it when there are many, and none waits when there are few.
 */
import type { Batch } from '../batch/batch.ts';
import type { StreamOffset } from '../wal/wal.ts';

/** With more waiting, no further message is received. */
const WAITING_LIMIT_BYTES = 1_048_576;

export interface ReceivedMessage {
  /** Of the stream. */
  readonly sequence: number;
  /** Those of its batches that were not here when it was received. */
  readonly batches: readonly Batch[];
  /** Undefined if it is not to be stored: the message was unreadable. */
  readonly offset: StreamOffset | undefined;
}

export class MessageGroups {
  private readonly handle: (group: readonly ReceivedMessage[]) => Promise<void>;
  private waiting: ReceivedMessage[] = [];
  private waitingBytes = 0;
  private running: Promise<void> | undefined;
  private taken: (() => void) | undefined;
  private failure: { readonly error: unknown } | undefined;

  /** `handle` is called with one group at a time; after it has failed nothing more is accepted. */
  constructor(handle: (group: readonly ReceivedMessage[]) => Promise<void>) {
    this.handle = handle;
  }

  get busy(): boolean {
    return this.running !== undefined;
  }

  /** Resolves when another message may be added. Rejects if a group has failed. */
  async add(message: ReceivedMessage): Promise<void> {
    this.check();
    this.waiting.push(message);
    for (const { bytes } of message.batches) this.waitingBytes += bytes.length;
    this.running ??= this.run();
    if (this.waitingBytes < WAITING_LIMIT_BYTES) return;
    await new Promise<void>((resolve) => {
      this.taken = resolve;
    });
    this.check();
  }

  /** Resolves when everything that was added is handled, or given up after a failure. */
  async idle(): Promise<void> {
    await this.running;
  }

  private check(): void {
    if (this.failure !== undefined) throw this.failure.error;
  }

  private async run(): Promise<void> {
    try {
      while (this.waiting.length > 0) {
        const group = this.takeWaiting();
        await this.handle(group);
      }
    } catch (error) {
      this.failure = { error };
      this.takeWaiting();
    }
    this.running = undefined;
  }

  private takeWaiting(): readonly ReceivedMessage[] {
    const group = this.waiting;
    this.waiting = [];
    this.waitingBytes = 0;
    this.taken?.();
    this.taken = undefined;
    return group;
  }
}
