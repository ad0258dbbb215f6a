/** Work that runs one piece at a time, in the order it was added. A piece that fails fails for its caller alone. */
export class Queue {
  private last: Promise<unknown> = Promise.resolve();

  add<T>(work: () => Promise<T>): Promise<T> {
    const run = this.last.then(work);
    this.last = run.catch(() => undefined);
    return run;
  }

  /** Resolves when everything added so far has ended. */
  async idle(): Promise<void> {
    await this.last;
  }
}
