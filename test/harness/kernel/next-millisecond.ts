/** Items of one millisecond are equally new: where their order is asserted, each is put in another one. */
import { eventually } from './eventually.ts';

export function nextMillisecond(): Promise<void> {
  const nowMs = Date.now();
  return eventually('the next millisecond', () => Date.now() > nowMs);
}
