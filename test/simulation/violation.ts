/** A promise was broken: what the run fails with. */
export class Violation extends Error {
  override readonly name = 'Violation';
  /** Names the checker that found it. */
  readonly check: string;

  constructor(check: string, detail: string) {
    super(`${check}: ${detail}`);
    this.check = check;
  }
}
