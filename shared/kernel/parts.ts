/** The parts of a process: one ordered list, from which the order of starting and that of stopping follow. */

export interface Part {
  start?(): void;
  /** Resolves when what is under way has ended. */
  stop?(): unknown;
}

/** In stages: parts of one stage need nothing of each other to start or to stop, and are stopped together. */
export type Stages = readonly (readonly Part[])[];

export function startParts(stages: Stages): void {
  for (const stage of stages) for (const part of stage) part.start?.();
}

/** In reverse. Rejects with the first failure, after every part of its stage has been asked to stop. */
export async function stopParts(stages: Stages): Promise<void> {
  for (const stage of stages.toReversed()) await Promise.all(stage.map((part) => part.stop?.()));
}
