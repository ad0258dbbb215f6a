/** One launcher a data folder: a file with its process id. Left behind by a killed launcher, it is taken over. */
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '../../shared/errors/config-error.ts';
import { runsAs } from './own-process.ts';

export interface Lock {
  /** Whether an earlier launcher on this folder ended without taking its lock away. */
  readonly takenOver: boolean;
  release(): void;
}

export interface LockOptions {
  readonly dataDir: string;
  /** What a launcher's command line names. */
  readonly marker: string;
}

/** Throws `ConfigError` naming the other launcher's process id. */
export function lockDataDir({ dataDir, marker }: LockOptions): Lock {
  const file = join(dataDir, 'launcher.pid');
  const own = join(dataDir, `launcher.pid.${process.pid}`);
  writeFileSync(own, `${process.pid}\n`);
  let takenOver = false;
  try {
    // A link appears with its content or not at all. Each round either takes the lock or removes one stale one.
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
      // Between the look and the move another launcher may have taken over the same stale lock: give it back.
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
