/** One launcher a data folder: a file with its process id. The lock of a killed launcher is replaced. */
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '../../shared/errors/config-error.ts';
import { runsAs } from './own-process.ts';

export interface Lock {
  /** Whether an earlier launcher on this folder ended without removing its lock. */
  readonly takenOver: boolean;
  release(): void;
}

export interface LockOptions {
  readonly dataDir: string;
  /** A part of every launcher's command line. */
  readonly marker: string;
}

/** Throws `ConfigError` naming the other launcher's process id. */
export function lockDataDir({ dataDir, marker }: LockOptions): Lock {
  const file = join(dataDir, 'launcher.pid');
  const own = join(dataDir, `launcher.pid.${process.pid}`);
  writeFileSync(own, `${process.pid}\n`);
  let takenOver = false;
  try {
    // A link is created atomically with its content. Each round either acquires the lock or removes one stale one.
    for (let round = 0; round < 10; round++) {
      try {
        linkSync(own, file);
        return { takenOver, release: () => rmSync(file, { force: true }) };
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
      const holder = pidIn(file);
      if (holder !== undefined && runsAs(holder, marker)) {
        throw new ConfigError(
          `cluster: ${dataDir} is in use by another launcher, process ${holder}; stop it or choose another --data-dir`,
        );
      }
      takenOver = true;
      const aside = `${file}.stale.${process.pid}`;
      moveAside(file, aside);
      const moved = pidIn(aside);
      // Between the read and the rename another launcher may have replaced the same stale lock: restore it.
      if (moved !== undefined && !Object.is(moved, holder)) linkSync(aside, file);
      rmSync(aside, { force: true });
    }
  } finally {
    rmSync(own, { force: true });
  }
  throw new ConfigError(`cluster: the lock ${file} cannot be taken`);
}

function moveAside(file: string, aside: string): void {
  try {
    renameSync(file, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

function pidIn(file: string): number | undefined {
  try {
    return Number(readFileSync(file, 'utf8').trim());
  } catch {
    return undefined;
  }
}
