/**
 * The resident memory that counts against a limit, and the limit: the one that was configured, or a share of the container's.
 *
 * Only anonymous pages count. Pages of mapped files, the store above all, are resident too, but the kernel takes them back when
 * memory is short.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Share of a container's limit up to which state is added. The rest is for what a start needs besides the state: it decodes the
 * checkpoint and builds the indexes in a second thread.
 */
const CONTAINER_SHARE = 0.8;

export interface MemoryReading {
  readonly usedBytes: number;
  readonly limitBytes: number;
}

export interface ResidentMemory {
  /** What an operator raises, for messages. */
  readonly setting: string;
  read(): MemoryReading;
}

export interface ResidentMemoryOptions {
  /** Of this process; 0: the container's limit is taken. */
  readonly maxBytes: number;
  /** A test has files of its own. */
  readonly root?: string;
}

/** Undefined: nothing limits the memory. */
export function residentMemory({ maxBytes, root = '/' }: ResidentMemoryOptions): ResidentMemory | undefined {
  if (maxBytes > 0) {
    return {
      setting: '--max-memory-bytes (TIDAL_MAX_MEMORY_BYTES)',
      read: () => ({ usedBytes: ofProcess(root), limitBytes: maxBytes }),
    };
  }
  const group = controlGroup(root);
  if (group === undefined) return undefined;
  const setting = 'the memory limit of the container, or --max-memory-bytes (TIDAL_MAX_MEMORY_BYTES),';
  return {
    setting,
    read: () => ({
      // Other processes of the container, as in one that runs a whole cluster, count too.
      usedBytes: numberAfter(textOf(group.statFile), group.statName) ?? ofProcess(root),
      limitBytes: Math.floor(group.limitBytes * CONTAINER_SHARE),
    }),
  };
}

/** Anonymous pages of this process; all of its pages if the system does not distinguish them. */
function ofProcess(root: string): number {
  const kibibytes = numberAfter(textOf(join(root, 'proc/self/status')), 'RssAnon:');
  return kibibytes === undefined ? process.memoryUsage.rss() : kibibytes * 1024;
}

interface ControlGroup {
  readonly limitBytes: number;
  readonly statFile: string;
  /** Anonymous pages in it. */
  readonly statName: string;
}

/** That of this process, version 2 or 1, if it limits the memory to less than the machine has. */
function controlGroup(root: string): ControlGroup | undefined {
  const groups = textOf(join(root, 'proc/self/cgroup')) ?? '';
  const machineKibibytes = numberAfter(textOf(join(root, 'proc/meminfo')), 'MemTotal:');
  const machineBytes = machineKibibytes === undefined ? Number.POSITIVE_INFINITY : machineKibibytes * 1024;
  const versions = [
    { path: /^0::(.*)$/m, mount: 'sys/fs/cgroup', limitFile: 'memory.max', statName: 'anon' },
    {
      path: /^\d+:(?:[^:]*,)?memory(?:,[^:]*)?:(.*)$/m,
      mount: 'sys/fs/cgroup/memory',
      limitFile: 'memory.limit_in_bytes',
      statName: 'total_rss',
    },
  ];
  for (const { path, mount, limitFile, statName } of versions) {
    // In a container the group's own folder is often mounted as the top of the hierarchy.
    for (const folder of [join(root, mount, path.exec(groups)?.[1] ?? ''), join(root, mount)]) {
      const text = textOf(join(folder, limitFile))?.trim();
      const limitBytes = text === undefined || !/^\d+$/.test(text) ? Number.POSITIVE_INFINITY : Number(text);
      if (limitBytes < machineBytes) return { limitBytes, statFile: join(folder, 'memory.stat'), statName };
    }
  }
  return undefined;
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** The number of the line that begins with the name. */
function numberAfter(text: string | undefined, name: string): number | undefined {
  for (const line of text?.split('\n') ?? []) {
    const [first, number] = line.split(/\s+/);
    if (first === name && number !== undefined && /^\d+$/.test(number)) return Number(number);
  }
  return undefined;
}
