/** Watches the processes of a cluster during a run: memory, the longest turns, errors in their logs. */
import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { internalHeaders } from '../harness/clients/internal.ts';
import type { Cluster } from '../harness/processes/cluster.ts';

const MIB = 1024 * 1024;
/** What is logged of garbage on the stream and in the leadership key. */
const ofGarbage = /"msg":"(batch refused|malformed value in the control bucket)"/;

export interface Turn {
  readonly process: string;
  readonly activity: string;
  readonly ms: number;
}

export class ProcessesWatch {
  private readonly cluster: Cluster;
  /** By process: the first sample. */
  private before: ReadonlyMap<string, number> = new Map();
  private readonly longest = new Map<string, Turn>();
  private readonly stall = new Float64Array(new SharedArrayBuffer(Float64Array.BYTES_PER_ELEMENT));
  private readonly idle: Worker;

  constructor(cluster: Cluster) {
    this.cluster = cluster;
    this.idle = new Worker(new URL('./stall-worker.js', import.meta.url), { workerData: this.stall.buffer });
    this.idle.unref();
  }

  async stop(): Promise<void> {
    await this.idle.terminate();
  }

  /** How long the machine let an idle thread wait, ms: any turn may have waited as long. */
  get stallMs(): number {
    return this.stall[0]!;
  }

  /** From here on memory is to stay as it is. */
  async startMemory(): Promise<void> {
    this.before = await this.memory();
  }

  /** MiB each process has grown by since `startMemory`. */
  async growth(): Promise<ReadonlyMap<string, number>> {
    const now = await this.memory();
    return new Map(
      [...now].map(([name, bytes]) => [name, Math.round((bytes - (this.before.get(name) ?? bytes)) / MIB)]),
    );
  }

  /** Metrics keep the longest turn for 30 s: asked more often than that. */
  async sampleTurns(): Promise<void> {
    for (const [name, text] of await this.metrics()) {
      for (const [, activity = '', seconds] of text.matchAll(
        /^tidal_longest_turn_seconds\{.*activity="(\w+)".*\} (\S+)$/gm,
      )) {
        const ms = Number(seconds) * 1_000;
        const key = `${name} ${activity}`;
        if (ms > (this.longest.get(key)?.ms ?? 0)) this.longest.set(key, { process: name, activity, ms });
      }
    }
  }

  /** The longest first. */
  get turns(): readonly Turn[] {
    return [...this.longest.values()].sort((a, b) => b.ms - a.ms);
  }

  /** Unexpected ends, and lines of the log that report an error. */
  faults(): readonly string[] {
    return [...this.cluster.processes.values()].flatMap(({ name, ownEnds, lines }) => [
      ...ownEnds,
      ...lines
        .filter((line) => /"level":"(error|fatal)"/.test(line) && !ofGarbage.test(line))
        .map((line) => `${name} logged ${line.slice(0, 500)}`),
    ]);
  }

  /** Private memory: pages of the mapped store are the kernel's to drop. Where the system does not say, all that is resident. */
  private async memory(): Promise<ReadonlyMap<string, number>> {
    const sizes = [...(await this.metrics())].map(([name, text]): [string, number] => {
      const pid = this.cluster.process(name).pid;
      try {
        const status = readFileSync(`/proc/${pid}/status`, 'utf8');
        return [name, Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)![1]) * 1024];
      } catch {
        return [name, Number(/^process_resident_memory_bytes\{[^}]*\} (\S+)$/m.exec(text)?.[1])];
      }
    });
    return new Map(sizes);
  }

  private async metrics(): Promise<ReadonlyMap<string, string>> {
    const urls: [string, string][] = [
      ...this.cluster.regionUrls,
      ...this.cluster.routerNames.map((name, index): [string, string] => [name, this.cluster.routerUrls[index]!]),
    ];
    const texts = await Promise.all(
      urls.map(async ([name, url]): Promise<[string, string]> => {
        const answer = await fetch(`${url}/metrics`, { headers: internalHeaders });
        return [name, await answer.text()];
      }),
    );
    return new Map(texts);
  }
}
