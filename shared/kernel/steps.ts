/**
 * A computation in short steps: between two of them its caller may stop, and continue in a later turn of the event loop. What it
 * changes is whole only at its end.
 */
export type Steps<T = void> = Generator<undefined, T, undefined>;

/** Takes all steps at once. */
export function finish<T>(steps: Steps<T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}
