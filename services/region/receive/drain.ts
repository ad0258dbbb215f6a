/** Waits until this region has handled everything that the stream has now, the first step of a promotion. */
import { Fault } from '../../../shared/errors/errors.ts';
import { type Clock, sleep } from '../../../shared/kernel/kernel.ts';
import type { Stream } from '../../../shared/stream/stream.ts';
import type { Receiver } from './receive.ts';

const LOOK_MS = 10;

export interface DrainOptions {
  readonly clock: Clock;
  readonly stream: Pick<Stream, 'info'>;
  readonly receiver: Pick<Receiver, 'delivered'>;
}

/** False if `limitMs` passed first, or the end of the stream cannot be read. */
export async function drain({ clock, stream, receiver }: DrainOptions, limitMs: number): Promise<boolean> {
  const endMs = clock.monotonicMs() + limitMs;
  try {
    const { last } = await stream.info();
    while (receiver.delivered < last) {
      if (clock.monotonicMs() >= endMs) return false;
      await sleep(clock, LOOK_MS);
    }
    return true;
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return false;
  }
}
