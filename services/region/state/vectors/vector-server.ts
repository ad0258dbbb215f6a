/**
 * The index's side of the pipe: handles messages in order, answers, and does background work in small steps when idle.
 *
 * At the start the file, if there is one, is checked and read while the vectors arrive; its graph is adopted once all of them are
 * here (`filled`), and until then searches scan. No vector enters a graph before that.
 */
import { Fault, messageOf } from '../../../../shared/errors/errors.ts';
import type { GraphLabels, VectorFile } from './vector-file.ts';
import { graphsMissing, VectorGraph } from './vector-graph.ts';
import { VectorIndex } from './vector-index.ts';
import type { FromVectors, ToVectors, VectorCounts } from './vector-worker.ts';

/** Steps of work between two progress reports. */
const REPORT_STEPS = 250;
/** Approximate bytes of a vector in the graph's file in addition to its values. */
const LINK_BYTES = 160;

export interface VectorServerOptions {
  readonly dimensions: number;
  readonly exactLimit?: number | undefined;
  /** File of the graph; absent: it is not stored. */
  readonly file?: VectorFile | undefined;
  /** Why there are no graphs; absent: the result of loading hnswlib-node. */
  readonly missing?: string | undefined;
  readonly reply: (message: FromVectors) => void;
  /** Called when there may be work without a message. */
  readonly onWork?: () => void;
}

export class VectorServer {
  private readonly options: VectorServerOptions;
  private readonly index: VectorIndex;
  /** Undefined once the file's graph is adopted, or if there is none. */
  private loading: Promise<void> | undefined;
  private markFilled!: () => void;
  private readonly filled = new Promise<void>((resolve) => {
    this.markFilled = resolve;
  });
  private saving: Promise<void> | undefined;
  private savedMs = 0;
  private savedRevision = 0;
  private steps = 0;
  private reported: VectorCounts = { live: 0, graphed: 0, deleted: 0, unsaved: 0 };

  constructor(given: VectorServerOptions) {
    const { missing = graphsMissing } = given;
    // A graph that an earlier process wrote is kept: a later process that can read it checks it first.
    const options: VectorServerOptions =
      missing === undefined ? given : { ...given, exactLimit: Number.POSITIVE_INFINITY, file: undefined };
    this.options = options;
    this.index = new VectorIndex(options);
    // Not in this turn: the caller does not have the object yet.
    if (missing !== undefined) queueMicrotask(() => options.reply({ kind: 'scan_only', why: missing }));
    if (options.file === undefined) return;
    this.loading = this.load(options.file).finally(() => {
      this.loading = undefined;
      this.report();
      options.onWork?.();
    });
  }

  take(message: ToVectors): void {
    const { index, options } = this;
    if (message.kind === 'nearest') {
      const { hits, whole } = index.nearest(message.values, message.limit, message.among);
      const entities = Float64Array.from(hits, ({ entity }) => entity);
      const similarities = Float64Array.from(hits, ({ score }) => score);
      options.reply({ kind: 'hits', id: message.id, entities, similarities, whole });
    } else if (message.kind === 'changes') {
      this.change(message);
      options.reply({ kind: 'taken' });
      this.report();
    } else if (message.kind === 'filled') {
      this.markFilled();
    } else {
      this.saving ??= this.save(message.atMs).finally(() => {
        this.saving = undefined;
        this.report();
        options.reply({ kind: 'saved', atMs: this.savedMs });
        options.onWork?.();
      });
    }
  }

  /** One step; false if there is nothing to do until the next message or `onWork`. */
  work(): boolean {
    const more = this.loading === undefined && this.index.work();
    this.steps++;
    if (!more || this.steps % REPORT_STEPS === 0) this.report();
    return more;
  }

  /** For tests: resolves when it is idle. */
  async quiet(): Promise<void> {
    await this.loading;
    await this.saving;
  }

  get counts(): VectorCounts {
    const { live, graphed, deleted, revision } = this.index;
    return { live, graphed, deleted, unsaved: revision - this.savedRevision };
  }

  private report(): void {
    const { counts } = this;
    const { live, graphed, deleted, unsaved } = this.reported;
    if (
      counts.live === live &&
      counts.graphed === graphed &&
      counts.deleted === deleted &&
      counts.unsaved === unsaved
    ) {
      return;
    }
    this.reported = counts;
    this.options.reply({ kind: 'counts', counts });
  }

  private change({ ordinals, entities, present, values }: Extract<ToVectors, { kind: 'changes' }>): void {
    const { dimensions } = this.options;
    let at = 0;
    for (let i = 0; i < ordinals.length; i++) {
      if (present[i] === 0) {
        this.index.remove(ordinals[i]!);
        continue;
      }
      this.index.put(ordinals[i]!, entities[i]!, values.subarray(at, at + dimensions));
      at += dimensions;
    }
  }

  private async load(file: VectorFile): Promise<void> {
    const { index, options } = this;
    const { dimensions, reply } = options;
    try {
      const saved = await file.read();
      if (saved === undefined) return;
      const graph = await VectorGraph.read({ file: saved.file, dimensions });
      await this.filled;
      const kept = index.adopt(graph, saved.labels);
      if (kept === 0) return;
      this.savedMs = saved.atMs;
      this.savedRevision = index.revision - (graph.deleted + index.live - kept);
      const fields = { vectors: index.live, kept, deleted: graph.deleted };
      reply({ kind: 'log', level: 'info', message: 'vector index read', fields });
      reply({ kind: 'saved', atMs: saved.atMs });
    } catch (error) {
      await file.remove();
      const fields = { error: messageOf(error) };
      reply({
        kind: 'log',
        level: 'warn',
        message: 'vector index on disk unusable, rebuilding',
        fields,
      });
    }
  }

  private async save(atMs: number): Promise<void> {
    const { index, options } = this;
    const { file, dimensions, reply } = options;
    if (file === undefined || this.loading !== undefined) return;
    let { revision } = index;
    try {
      const none = index.graphed === 0;
      if (none) await file.remove();
      else {
        const bytes = (index.graphed + index.deleted) * (4 * dimensions + LINK_BYTES);
        const write = async (path: string): Promise<GraphLabels> => {
          // In one turn: after its labels are read nothing of the graph changes until it is written.
          const saved = index.saved();
          if (saved === undefined) throw new Fault('no_graph', 'there is none any more');
          revision = index.revision;
          await saved.graph.write(path);
          return saved.labels;
        };
        await file.save({ atMs, bytes, write });
      }
      this.savedMs = none ? 0 : atMs;
      this.savedRevision = revision;
    } catch (error) {
      const fields = { error: messageOf(error) };
      reply({
        kind: 'log',
        level: 'warn',
        message: 'vector index not written, keeping the former file',
        fields,
      });
    }
  }
}
