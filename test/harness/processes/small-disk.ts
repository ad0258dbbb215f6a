/**
 * A file system of its own whose size changes while it is used: a disk that is full, and has free space again. It lies in memory;
 * what of it is not written takes none. Needs the right to mount.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, statfsSync } from 'node:fs';

const DISK_BYTES = 1024 ** 3;

/** Why there can be none on this machine; undefined: there can. */
export const smallDiskObstacle: string | undefined =
  process.platform === 'linux' && process.getuid?.() === 0
    ? undefined
    : 'a full disk needs root on Linux, to mount a small file system';

const mounted = new Set<string>();
// A run that is interrupted leaves none behind.
process.on('exit', () => {
  for (const path of mounted) execFileSync('umount', ['-l', path]);
});

export class SmallDisk {
  private readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  static mount(path: string): SmallDisk {
    mkdirSync(path, { recursive: true });
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_BYTES}`, 'tmpfs', path]);
    mounted.add(path);
    return new SmallDisk(path);
  }

  /** From now on `freeBytes` are free, in whole pages. */
  leave(freeBytes: number): void {
    for (let left = 10; ; left--) {
      const { blocks, bfree, bsize } = statfsSync(this.path);
      try {
        this.resize((blocks - bfree) * bsize + freeBytes);
        return;
      } catch (error) {
        // A page was written since: no disk is smaller than what is on it.
        if (left === 0) throw error;
      }
    }
  }

  makeRoom(): void {
    this.resize(DISK_BYTES);
  }

  unmount(): void {
    execFileSync('umount', [this.path]);
    mounted.delete(this.path);
  }

  private resize(bytes: number): void {
    execFileSync('mount', ['-o', `remount,size=${bytes}`, this.path], { stdio: 'pipe' });
  }
}
