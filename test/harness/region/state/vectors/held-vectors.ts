/** An index behind a pipe whose two directions the test opens: what is on its way arrives when the test says so. */
import { VectorServer } from '../../../../../services/region/state/vectors/vector-server.ts';
import type {
  FromVectors,
  OpenVectorWorker,
  ToVectors,
  VectorWorkerOptions,
} from '../../../../../services/region/state/vectors/vector-worker.ts';

export class HeldVectors {
  /** How often it was opened. */
  opened = 0;
  ended = 0;
  /** On their way to the index, and back; oldest first. */
  readonly there: ToVectors[] = [];
  readonly back: FromVectors[] = [];
  private server: VectorServer | undefined;
  private options: VectorWorkerOptions | undefined;
  private readonly exactLimit: number | undefined;

  constructor({ exactLimit }: { exactLimit?: number } = {}) {
    this.exactLimit = exactLimit;
  }

  readonly open: OpenVectorWorker = (options) => {
    this.opened++;
    this.options = options;
    const { dimensions } = options;
    const server = new VectorServer({
      dimensions,
      exactLimit: this.exactLimit,
      reply: (message) => {
        if (server === this.server) this.back.push(message);
      },
    });
    this.server = server;
    return {
      post: (message) => {
        if (server === this.server) this.there.push(message);
      },
      end: async () => {
        this.ended++;
        this.server = undefined;
      },
    };
  };

  /** The index takes what is on its way to it; answers how many of each kind those were. */
  arrive(): Record<string, number> {
    const kinds: Record<string, number> = {};
    for (const message of this.there.splice(0)) {
      kinds[message.kind] = (kinds[message.kind] ?? 0) + 1;
      this.server?.take(message);
    }
    return kinds;
  }

  /** What is on its way back arrives. */
  return(): void {
    for (const message of this.back.splice(0)) this.options?.onMessage(message);
  }

  /** Back and forth until nothing is on its way. */
  async settle(): Promise<void> {
    do {
      await new Promise((resolve) => setImmediate(resolve));
      this.arrive();
      this.return();
      await new Promise((resolve) => setImmediate(resolve));
    } while (this.there.length + this.back.length > 0);
  }

  /** It dies, with everything in transit. */
  die(error: unknown): void {
    this.server = undefined;
    this.there.length = 0;
    this.back.length = 0;
    this.options?.onExit(error);
  }
}
