/**
 * The certificates of one process while it runs: their files are read again when they change and on request, so that they are
 * replaced without a restart. Files that cannot be used are reported, and the former certificates stay in use.
 *
 * A change counts once two looks have found the same texts: certificate and key are two files, and cannot be replaced at once.
 */
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { messageOf } from '../errors/errors.ts';
import type { Clock } from '../kernel/kernel.ts';
import { repeat } from '../kernel/repeat.ts';
import type { Log } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import { type CertificateFiles, type CertificateSet, certificateSet } from './certificates.ts';

export type { CertificateSet };

const LOOK_MS = 1_000;

/** What the certificates are for: a label of the metric. */
export type CertificateUse = 'internal' | 'public' | 'nats';

/** The certificates for one use. Another object: they were replaced. */
export interface Certificates {
  readonly current: CertificateSet;
  /** Called after they were replaced. */
  onReplaced(listener: () => void): void;
}

export interface OpenCertificatesOptions {
  /** A use without files has no certificates. */
  readonly files: Readonly<Partial<Record<CertificateUse, CertificateFiles | undefined>>>;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

export interface OpenedCertificates extends Readonly<Partial<Record<CertificateUse, Certificates>>> {
  /** Reads the files now. Absent: there are none. */
  readonly reload: (() => void) | undefined;
  stop(): Promise<void>;
}

/** Throws `ConfigError` if one cannot be used. */
export function openCertificates({ files, clock, log, metrics }: OpenCertificatesOptions): OpenedCertificates {
  const watched = Object.entries(files).flatMap(([use, each]) =>
    each === undefined ? [] : [new Watched(use as CertificateUse, each, { clock, log })],
  );
  metrics.gauge({
    name: 'tidal_certificate_expiry_timestamp_seconds',
    help: 'When a certificate of this process or the last of its authorities expires, seconds since 1970, by use: internal, public, nats.',
    labels: ['use'],
    collect: (gauge) => {
      for (const { use, current } of watched) gauge.set({ use }, current.expiresMs / 1_000);
    },
  });
  const looking = watched.map((each) => repeat({ clock, pauseMs: LOOK_MS, action: () => each.look() }));
  return {
    ...Object.fromEntries(watched.map((each) => [each.use, each])),
    reload: watched.length === 0 ? undefined : () => void Promise.all(watched.map((each) => each.reload())),
    stop: async () => {
      await Promise.all(watched.map((each) => each.stop()));
      await Promise.all(looking.map((each) => each.stop()));
    },
  };
}

class Watched implements Certificates {
  readonly use: CertificateUse;
  current: CertificateSet;
  private readonly files: CertificateFiles;
  private readonly clock: Clock;
  private readonly log: Log;
  private readonly paths: readonly string[];
  private readonly listeners: (() => void)[] = [];
  /** What was used or refused, and what the last look found. */
  private judged: string;
  private last: string;
  /** One read at a time: an older result never replaces a newer result. */
  private reading: Promise<void> = Promise.resolve();
  private stopped = false;

  constructor(
    use: CertificateUse,
    files: CertificateFiles,
    { clock, log }: { readonly clock: Clock; readonly log: Log },
  ) {
    this.use = use;
    this.files = files;
    this.clock = clock;
    this.log = log;
    this.paths = [files.cert, files.key, files.ca].flatMap((file) => file?.path ?? []);
    const texts = new Map<string, string>();
    const readText = (path: string): string => {
      texts.set(path, readFileSync(path, 'utf8'));
      return texts.get(path)!;
    };
    this.current = certificateSet(files, readText, clock.nowMs());
    this.judged = this.paths.map((path) => texts.get(path)).join('\0');
    this.last = this.judged;
    if (this.current.warning !== undefined)
      log.warn('certificate may be refused', { use, detail: this.current.warning });
  }

  onReplaced(listener: () => void): void {
    this.listeners.push(listener);
  }

  /** Reads them now, and reports the result in any case. */
  reload(): Promise<void> {
    return this.read((found) => this.judge(found));
  }

  look(): Promise<void> {
    return this.read((found) => {
      const now = this.textOf(found);
      const same = now === this.last;
      this.last = now;
      if (same && now !== this.judged) this.judge(found);
    });
  }

  /** Resolves when nothing is read any more. What is being read changes nothing. */
  stop(): Promise<void> {
    this.stopped = true;
    return this.reading;
  }

  private read(then: (found: ReadonlyMap<string, string | Error>) => void): Promise<void> {
    this.reading = this.reading.then(async () => {
      if (this.stopped) return;
      const found = await this.found();
      if (!this.stopped) then(found);
    });
    return this.reading;
  }

  private async found(): Promise<ReadonlyMap<string, string | Error>> {
    const read = async (path: string): Promise<[string, string | Error]> => [
      path,
      await readFile(path, 'utf8').catch((error: Error) => error),
    ];
    return new Map(await Promise.all(this.paths.map(read)));
  }

  private textOf(found: ReadonlyMap<string, string | Error>): string {
    return this.paths.map((path) => String(found.get(path))).join('\0');
  }

  private judge(found: ReadonlyMap<string, string | Error>): void {
    const { use, files, clock, log } = this;
    this.judged = this.textOf(found);
    const former = this.current;
    try {
      const readText = (path: string): string => {
        const text = found.get(path)!;
        if (text instanceof Error) throw text;
        return text;
      };
      this.replace(certificateSet(files, readText, clock.nowMs()));
    } catch (error) {
      if (this.current !== former) this.replace(former);
      log.error('certificate not read, the former one stays in use', { use, detail: messageOf(error) });
      return;
    }
    const { expiresMs, warning } = this.current;
    log.info('certificate read again', { use, expires: new Date(expiresMs).toISOString() });
    if (warning !== undefined) log.warn('certificate may be refused', { use, detail: warning });
  }

  private replace(set: CertificateSet): void {
    this.current = set;
    for (const listener of this.listeners) listener();
  }
}
