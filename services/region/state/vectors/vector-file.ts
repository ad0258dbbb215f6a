/**
 * The graph on disk: two files in a directory of their own, which is not part of the store: a copy of the store does not contain
 * them.
 *
 *     graph-<n>   as hnswlib writes it
 *     index       little endian: "TVEC" · version u32 · dimensions u32 · labels u32 · saved at f64 (epoch ms) · n f64 ·
 *                 bytes of graph-<n> f64 · its SHA-256 · labels × (entity f64, −1: deleted · fingerprint u64) ·
 *                 SHA-256 of everything before
 *
 * Order of effects: graph-<n> is written, flushed and digested → index.tmp is written and flushed → renamed over index →
 * the directory is flushed → other graphs are removed. A crash leaves the former pair whole, or the new one.
 *
 * hnswlib trusts the bytes it reads, including offsets into memory: it gets a file only after size and SHA-256 of both are
 * checked. Other files are removed, and the graph is rebuilt from the catalog.
 */

import { createHash } from 'node:crypto';
import { open, readdir, readFile, rename, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeDirectory } from '../../../../shared/config/make-directory.ts';
import { Fault, messageOf } from '../../../../shared/errors/errors.ts';
import { storageFault } from '../../storage-fault/storage-fault.ts';

/** Marks a label without an entity. */
export const DELETED = -1;

const MAGIC = 0x43455654;
const VERSION = 1;
const HEAD_BYTES = 40 + 32;
const ENTRY_BYTES = 16;
const DIGEST_BYTES = 32;
const READ_BYTES = 1024 * 1024;
/** Bytes left free on the disk for the log. */
const RESERVE_BYTES = 64 * 1024 * 1024;
const INDEX = 'index';
const graphPattern = /^graph-(\d{1,15})$/;

/** The entity and vector of each label of a graph. */
export interface GraphLabels {
  /** By label; `DELETED` if it was deleted. */
  readonly entities: Float64Array;
  /** Two words a label: a hash of entity and vector. */
  readonly prints: Uint32Array;
}

export interface SavedGraph {
  readonly labels: GraphLabels;
  /** Checked, for hnswlib. */
  readonly file: string;
  readonly atMs: number;
}

export class VectorFile {
  private readonly path: string;
  private readonly dimensions: number;

  /** `path`: the directory; created at the first write. */
  constructor({ path, dimensions }: { path: string; dimensions: number }) {
    this.path = path;
    this.dimensions = dimensions;
  }

  /** Undefined if there is none. Throws `Fault('damaged_index')` for one that cannot be used, which is removed. */
  async read(): Promise<SavedGraph | undefined> {
    let bytes: Buffer;
    try {
      bytes = await readFile(join(this.path, INDEX));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw new Fault('damaged_index', `it cannot be read: ${String(error)}`, { cause: error });
    }
    try {
      return await checked(this.path, bytes, this.dimensions);
    } catch (error) {
      await this.remove();
      throw error instanceof Fault ? error : new Fault('damaged_index', String(error), { cause: error });
    }
  }

  /**
   * `write` creates the graph's file at the given path, and returns its labels; `bytes`: its expected size. Throws `Fault`,
   * `storage_full` if there is no space, and leaves the former files.
   */
  async save(graph: {
    readonly atMs: number;
    readonly bytes: number;
    readonly write: (file: string) => Promise<GraphLabels>;
  }): Promise<void> {
    const { path } = this;
    makeDirectory(path);
    const { bavail, bsize } = await statfs(path);
    if (bavail * bsize < graph.bytes + RESERVE_BYTES) {
      throw new Fault('storage_full', `it needs ${graph.bytes} bytes and ${RESERVE_BYTES} beside it`);
    }
    const names = await readdir(path);
    const number = 1 + Math.max(0, ...names.map((name) => Number(graphPattern.exec(name)?.[1] ?? 0)));
    const name = `graph-${number}`;
    const file = join(path, name);
    try {
      const labels = await graph.write(file);
      await flush(file);
      const { size } = await stat(file);
      const bytes = this.encode({ labels, atMs: graph.atMs, number, size, sha256: await digestOf(file) });
      await writeFile(join(path, `${INDEX}.tmp`), bytes);
      await flush(join(path, `${INDEX}.tmp`));
      await rename(join(path, `${INDEX}.tmp`), join(path, INDEX));
      await flush(path);
    } catch (error) {
      // A partial file takes space that the log needs.
      for (const begun of [file, join(path, `${INDEX}.tmp`)]) await rm(begun, { force: true });
      throw storageFault(error);
    }
    for (const other of names) if (other !== name && graphPattern.test(other)) await rm(join(path, other));
  }

  /** Called when there is no graph any more. */
  async remove(): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
  }

  private encode(graph: {
    readonly labels: GraphLabels;
    readonly atMs: number;
    readonly number: number;
    readonly size: number;
    readonly sha256: Buffer;
  }): Buffer {
    const { entities, prints } = graph.labels;
    const bytes = Buffer.alloc(HEAD_BYTES + entities.length * ENTRY_BYTES + DIGEST_BYTES);
    bytes.writeUInt32LE(MAGIC, 0);
    bytes.writeUInt32LE(VERSION, 4);
    bytes.writeUInt32LE(this.dimensions, 8);
    bytes.writeUInt32LE(entities.length, 12);
    bytes.writeDoubleLE(graph.atMs, 16);
    bytes.writeDoubleLE(graph.number, 24);
    bytes.writeDoubleLE(graph.size, 32);
    graph.sha256.copy(bytes, 40);
    let at = HEAD_BYTES;
    for (const [label, entity] of entities.entries()) {
      bytes.writeDoubleLE(entity, at);
      bytes.writeUInt32LE(prints[2 * label]!, at + 8);
      bytes.writeUInt32LE(prints[2 * label + 1]!, at + 12);
      at += ENTRY_BYTES;
    }
    digest(bytes.subarray(0, at)).copy(bytes, at);
    return bytes;
  }
}

/** The graph of an index file, if both files are whole; of `wanted` dimensions, if that is given. Throws `Fault('damaged_index')`. */
async function checked(path: string, bytes: Buffer, wanted?: number): Promise<SavedGraph> {
  const damaged = (why: string): Fault => new Fault('damaged_index', why);
  if (bytes.length < HEAD_BYTES + DIGEST_BYTES || bytes.readUInt32LE(0) !== MAGIC) throw damaged('it is no index');
  const end = bytes.length - DIGEST_BYTES;
  if (!digest(bytes.subarray(0, end)).equals(bytes.subarray(end))) throw damaged('its checksum does not fit');
  const version = bytes.readUInt32LE(4);
  if (version !== VERSION) throw damaged(`it is of version ${version}, not ${VERSION}`);
  const dimensions = bytes.readUInt32LE(8);
  if (wanted !== undefined && dimensions !== wanted) throw damaged(`it has ${dimensions} dimensions, not ${wanted}`);
  const labels = bytes.readUInt32LE(12);
  if (end !== HEAD_BYTES + labels * ENTRY_BYTES) throw damaged('its length does not fit');
  const file = join(path, `graph-${bytes.readDoubleLE(24)}`);
  const size = bytes.readDoubleLE(32);
  const found = await stat(file).catch(() => undefined);
  if (found?.size !== size) throw damaged(`its graph has ${found?.size ?? 0} bytes, not ${size}`);
  if (!(await digestOf(file)).equals(bytes.subarray(40, HEAD_BYTES))) {
    throw damaged('the checksum of its graph does not fit');
  }
  const entities = new Float64Array(labels);
  const prints = new Uint32Array(2 * labels);
  for (let label = 0; label < labels; label++) {
    const at = HEAD_BYTES + label * ENTRY_BYTES;
    entities[label] = bytes.readDoubleLE(at);
    prints[2 * label] = bytes.readUInt32LE(at + 8);
    prints[2 * label + 1] = bytes.readUInt32LE(at + 12);
  }
  return { labels: { entities, prints }, file, atMs: bytes.readDoubleLE(16) };
}

/** What is wrong with the files in this directory, which are only read; undefined if they are whole, or there are none. */
export async function checkVectorFiles(path: string): Promise<string | undefined> {
  try {
    await checked(path, await readFile(join(path, INDEX)));
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? undefined : messageOf(error);
  }
}

function digest(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}

/** Read in pieces, so that searches are answered in between. */
async function digestOf(path: string): Promise<Buffer> {
  const hash = createHash('sha256');
  const file = await open(path, 'r');
  try {
    const buffer = Buffer.allocUnsafe(READ_BYTES);
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, READ_BYTES, null);
      if (bytesRead === 0) return hash.digest();
      hash.update(buffer.subarray(0, bytesRead));
    }
  } finally {
    await file.close();
  }
}

async function flush(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
