/**
 * Creates a directory and its missing parents. Every program creates its directories here: Node's own recursive `mkdirSync` never
 * returns if the system answers ENOENT although the parent exists (below /proc, for one).
 */
import { accessSync, chmodSync, constants, mkdirSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { ConfigError } from '../errors/config-error.ts';

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'not permitted to this user',
  EPERM: 'not permitted to this user',
  ENOTDIR: 'something on its path is no directory',
  EEXIST: 'there is something of that name that is no directory',
  ENOENT: 'the file system there takes no directories',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the quota of this user is used up',
  ENAMETOOLONG: 'a name on its path is too long',
  ELOOP: 'the symbolic links on its path go round in a circle',
};

/** Throws `ConfigError`, one line: the directory, and why it cannot be created or written to. An existing one is not changed. */
export function makeDirectory(path: string, mkdir: (path: string) => void = mkdirSync): void {
  const absolute = resolve(path);
  attempt(path, 'made', () => make(absolute, mkdir));
  attempt(path, 'written to', () => accessSync(absolute, constants.W_OK | constants.X_OK));
}

/** Only its owner's from then on, also one that existed: it holds a database, or secrets. Throws `ConfigError`. */
export function makePrivateDirectory(path: string): void {
  makeDirectory(path);
  const { mode, uid } = statSync(path);
  if ((mode & 0o077) !== 0 && uid === process.geteuid?.())
    attempt(path, 'closed to others', () => chmodSync(path, 0o700));
}

/** The system's error as text; undefined if it is not one of the system, or an unusual one. */
export function systemReason(error: unknown): string | undefined {
  const { code = '' } = error as NodeJS.ErrnoException;
  return REASONS[code] === undefined ? undefined : `${REASONS[code]} (${code})`;
}

function attempt(path: string, what: string, step: () => void): void {
  try {
    step();
  } catch (error) {
    const reason = systemReason(error) ?? (error as Error).message;
    throw new ConfigError(`the directory ${path} cannot be ${what}: ${reason}`, { cause: error });
  }
}

function make(path: string, mkdir: (path: string) => void): void {
  try {
    mkdir(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (isDirectory(path)) return;
    const parent = dirname(path);
    if (code !== 'ENOENT' || parent === path || isDirectory(parent)) throw error;
    make(parent, mkdir);
    mkdir(path);
  }
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  } catch {
    return false;
  }
}
