/** A rebuild whose end a test decides on. */
import type { Rebuild, Rebuilt } from '../../../services/region/rebuild/rebuild.ts';
import type { MetadataPage } from '../../../services/region/state/catalog/catalog.ts';

/** A rebuild that transfers nothing before it is released, or then dies. */
export class HeldRebuild implements Rebuild {
  private readonly rebuild: Rebuild;
  private release!: () => void;
  private readonly released = new Promise<void>((resolve) => {
    this.release = resolve;
  });
  private error: Error | undefined;
  ended = false;

  constructor(rebuild: Rebuild) {
    this.rebuild = rebuild;
  }

  get begun(): boolean {
    return this.rebuild.begun;
  }

  get indexed(): number {
    return this.rebuild.indexed;
  }

  add(page: MetadataPage): void {
    this.rebuild.add(page);
  }

  async finish(ordinals: Int32Array): Promise<Rebuilt> {
    const rebuilt = await this.rebuild.finish(ordinals);
    await this.released;
    if (this.error !== undefined) throw this.error;
    return rebuilt;
  }

  letGo(error?: Error): void {
    this.error = error;
    this.release();
  }

  async end(): Promise<void> {
    this.ended = true;
    await this.rebuild.end();
  }
}
