/**
 * The region's side of a rebuild: the builders are opened with the second page; items that fit one page are indexed without them.
 */
import type { MetadataPage } from '../state/catalog/catalog.ts';
import type { BuilderPipe, Built, FromBuilder, OpenBuilder, Rebuild, Rebuilt } from './rebuild.ts';

export function createRebuild(options: {
  readonly open: OpenBuilder;
  readonly leastPages?: number | undefined;
}): Rebuild {
  return new PagedRebuild(options);
}

const built: readonly Built[] = ['text', 'filterIndex'];

class PagedRebuild implements Rebuild {
  private readonly open: OpenBuilder;
  private readonly leastPages: number;
  /** Until the builders are opened. */
  private waiting: MetadataPage[] = [];
  private pipes: readonly BuilderPipe[] = [];
  private readonly indexedOf = new Map<Built, number>();
  private rebuilt: Partial<Rebuilt> = {};
  private gone: { readonly error: unknown } | undefined;
  private settle: { resolve: (rebuilt: Rebuilt) => void; reject: (error: unknown) => void } | undefined;

  constructor({ open, leastPages = 2 }: { open: OpenBuilder; leastPages?: number | undefined }) {
    this.open = open;
    this.leastPages = leastPages;
  }

  get begun(): boolean {
    return this.pipes.length > 0;
  }

  get indexed(): number {
    return Math.min(...built.map((each) => this.indexedOf.get(each) ?? 0));
  }

  add(page: MetadataPage): void {
    this.waiting.push(page);
    if (!this.begun && this.waiting.length < this.leastPages) return;
    if (!this.begun) this.pipes = built.map((build) => this.openOne(build));
    for (const each of this.waiting) for (const pipe of this.pipes) pipe.post({ kind: 'items', page: each });
    this.waiting = [];
  }

  finish(ordinals: Int32Array): Promise<Rebuilt> {
    for (const pipe of this.pipes) pipe.post({ kind: 'all', ordinals });
    return new Promise((resolve, reject) => {
      this.settle = { resolve, reject };
      if (this.gone !== undefined) reject(this.gone.error);
    });
  }

  async end(): Promise<void> {
    this.settle = undefined;
    await Promise.all(this.pipes.map((pipe) => pipe.end()));
  }

  private openOne(build: Built): BuilderPipe {
    return this.open({
      build,
      onMessage: (message) => this.take(build, message),
      onExit: (error) => {
        this.gone = { error };
        this.settle?.reject(error);
      },
    });
  }

  private take(build: Built, message: FromBuilder): void {
    if (message.kind === 'indexed') {
      this.indexedOf.set(build, message.items);
      return;
    }
    this.rebuilt = { ...this.rebuilt, ...message.rebuilt };
    const { text, filterIndex } = this.rebuilt;
    if (text === undefined || filterIndex === undefined) return;
    this.rebuilt = {};
    this.settle?.resolve({ text, filterIndex });
  }
}
