/** The region's side of a rebuild: items travel in chunks; the builder is opened with the first full one. */
import type { BuilderPipe, FromBuilder, OpenBuilder, Rebuild, Rebuilt } from './rebuild.ts';

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

class ChunkedRebuild implements Rebuild {
  private readonly open: OpenBuilder;
  private readonly limitBytes: number;
  private pipe: BuilderPipe | undefined;
  private bytes: Uint8Array<ArrayBuffer>;
  private used = 0;
  private ends = new Uint32Array(CHUNK_ITEMS);
  private items = 0;
  private gone: { readonly error: unknown } | undefined;
  private settle: { resolve: (rebuilt: Rebuilt) => void; reject: (error: unknown) => void } | undefined;
  told = 0;

  constructor({ open, bytes = CHUNK_BYTES }: ChunkedRebuildOptions) {
    this.open = open;
    this.limitBytes = bytes;
    this.bytes = new Uint8Array(bytes);
  }

  get begun(): boolean {
    return this.pipe !== undefined;
  }

  add(json: Uint8Array): void {
    if (this.used + json.length > this.bytes.length || this.items === CHUNK_ITEMS) {
      this.send();
      this.bytes = new Uint8Array(Math.max(this.limitBytes, json.length));
    }
    this.bytes.set(json, this.used);
    this.used += json.length;
    this.ends[this.items++] = this.used;
  }

  finish(ordinals: Int32Array): Promise<Rebuilt> {
    this.send();
    this.pipe?.post({ kind: 'all', ordinals });
    return new Promise((resolve, reject) => {
      this.settle = { resolve, reject };
      if (this.gone !== undefined) reject(this.gone.error);
    });
  }

  async end(): Promise<void> {
    this.settle = undefined;
    await this.pipe?.end();
  }

  private send(): void {
    if (this.items === 0) return;
    this.pipe ??= this.open({
      onMessage: (message) => this.take(message),
      onGone: (error) => {
        this.gone = { error };
        this.settle?.reject(error);
      },
    });
    this.pipe.post({ kind: 'items', bytes: this.bytes.subarray(0, this.used), ends: this.ends.slice(0, this.items) });
    this.used = 0;
    this.items = 0;
  }

  private take(message: FromBuilder): void {
    if (message.kind === 'told') this.told = message.items;
    else this.settle?.resolve(message.rebuilt);
  }
}
