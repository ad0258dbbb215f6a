/** Content codings of requests: bodies are inflated here, with the limit of a body counted on what comes out. */
import * as zlib from 'node:zlib';
import { Refusal } from '../errors/errors.ts';

/** Largest window of zstd, as RFC 9659 allows in HTTP: 8 MiB. */
const ZSTD_WINDOW_LOG = 23;

/** What newer versions of Node have in addition (22.15). */
interface ZstdOfNode {
  readonly createZstdDecompress?: (options: { readonly params: Readonly<Record<number, number>> }) => zlib.Gunzip;
  readonly zstdCompress?: (bytes: Buffer, done: (error: Error | null, encoded: Buffer) => void) => void;
  readonly constants: { readonly ZSTD_d_windowLogMax?: number };
}

export interface Zstd {
  compress(bytes: Buffer): Promise<Buffer>;
  inflater(): zlib.Gunzip;
}

/** zstd of this version of Node; undefined if it has none. */
export function zstdOf(node: object): Zstd | undefined {
  const { zstdCompress, createZstdDecompress, constants } = node as ZstdOfNode;
  const windowLog = constants?.ZSTD_d_windowLogMax;
  if (zstdCompress === undefined || createZstdDecompress === undefined || windowLog === undefined) return undefined;
  return {
    compress: (bytes) =>
      new Promise((resolve, reject) => {
        zstdCompress(bytes, (error, encoded) => (error === null ? resolve(encoded) : reject(error)));
      }),
    inflater: () => createZstdDecompress({ params: { [windowLog]: ZSTD_WINDOW_LOG } }),
  };
}

const zstd = zstdOf(zlib);
const gunzip = (): zlib.Gunzip => zlib.createGunzip();
const inflaters: Readonly<Record<string, (() => zlib.Gunzip) | undefined>> = {
  gzip: gunzip,
  'x-gzip': gunzip,
  ...(zstd === undefined ? {} : { zstd: () => zstd.inflater() }),
};

/** The codings in which a body may be sent. */
export const acceptedCodings: readonly string[] = ['gzip', ...(zstd === undefined ? [] : ['zstd'])];

/** Whether a body may be sent in this coding, a header's value. */
export function isAccepted(coding: string): boolean {
  return isPlain(coding) || Object.hasOwn(inflaters, coding.trim().toLowerCase());
}

export function isPlain(coding: string): boolean {
  return ['', 'identity'].includes(coding.trim().toLowerCase());
}

export interface InflateOptions {
  /** As {@link isAccepted} accepts it, not {@link isPlain}. */
  readonly coding: string;
  /** Called with the length of every part; may throw a `Refusal`, and then nothing more is inflated. */
  readonly count: (bytes: number) => void;
}

/** In parts, outside of the event loop. Rejects with `invalid_request` if the body is not of its coding. */
export function inflate(body: Buffer, { coding, count }: InflateOptions): Promise<Buffer> {
  const inflater = inflaters[coding.trim().toLowerCase()]!();
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    inflater.on('data', (part: Buffer) => {
      try {
        count(part.length);
        parts.push(part);
      } catch (error) {
        inflater.destroy();
        reject(error);
      }
    });
    inflater.on('end', () => resolve(Buffer.concat(parts)));
    inflater.on('error', () => reject(new Refusal('invalid_request', `the body is not ${coding}`)));
    inflater.end(body);
  });
}
