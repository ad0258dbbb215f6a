/** The region's side of a rebuild: items travel in chunks; the builders are opened with the first full one. */
import type { BuilderPipe, Built, FromBuilder, OpenBuilder, Rebuild, Rebuilt } from './rebuild.ts';

const CHUNK_BYTES = 1024 * 1024;
const CHUNK_ITEMS = 16_384;

export interface ChunkedRebuildOptions {
  readonly open: OpenBuilder;
  /** Of a chunk; with fewer no builder is opened. */
  readonly bytes?: number | undefined;
}

export function createRebuild(options: ChunkedRebuildOptions): Rebuild {
  return new ChunkedRebuild(options);
}

const built: readonly Built[] = ['text', 'facets'];

class ChunkedRebuild implements Rebuild {
  private readonly open: OpenBuilder;
  private readonly limitBytes: number;
  private pipes: readonly BuilderPipe[] = [];
  private bytes: Uint8Array<SharedArrayBuffer>;
  private used = 0;
  private ends = new Uint32Array(CHUNK_ITEMS);
  private items = 0;
  private readonly toldOf = new Map<Built, number>();
  private rebuilt: Partial<Rebuilt> = {};
  private gone: { readonly error: unknown } | undefined;
  private settle: { resolve: (rebuilt: Rebuilt) => void; reject: (error: unknown) => void } | undefined;

  constructor({ open, bytes = CHUNK_BYTES }: ChunkedRebuildOptions) {
    this.open = open;
    this.limitBytes = bytes;
    this.bytes = shared(bytes);
  }

  get begun(): boolean {
    return this.pipes.length > 0;
  }

  get told(): number {
    return Math.min(...built.map((each) => this.toldOf.get(each) ?? 0));
  }

  add(json: Uint8Array): void {
    if (this.used + json.length > this.bytes.length || this.items === CHUNK_ITEMS) {
      this.send();
      this.bytes = shared(Math.max(this.limitBytes, json.length));
    }
    this.bytes.set(json, this.used);
    this.used += json.length;
    this.ends[this.items++] = this.used;
  }

  finish(ordinals: Int32Array): Promise<Rebuilt> {
    this.send();
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

  private send(): void {
    if (this.items === 0) return;
    if (this.pipes.length === 0) this.pipes = built.map((build) => this.openOne(build));
    const bytes = this.bytes.subarray(0, this.used);
    const ends = this.ends.slice(0, this.items);
    for (const pipe of this.pipes) pipe.post({ kind: 'items', bytes, ends });
    this.used = 0;
    this.items = 0;
  }

  private openOne(build: Built): BuilderPipe {
    return this.open({
      build,
      onMessage: (message) => this.take(build, message),
      onGone: (error) => {
        this.gone = { error };
        this.settle?.reject(error);
      },
    });
  }

  private take(build: Built, message: FromBuilder): void {
    if (message.kind === 'told') {
      this.toldOf.set(build, message.items);
      return;
    }
    this.rebuilt = { ...this.rebuilt, ...message.rebuilt };
    const { text, facets } = this.rebuilt;
    if (text !== undefined && facets !== undefined) this.settle?.resolve({ text, facets });
  }
}

function shared(bytes: number): Uint8Array<SharedArrayBuffer> {
  return new Uint8Array(new SharedArrayBuffer(bytes));
}
