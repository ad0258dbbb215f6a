/** The common part of the two programs: parsing arguments, and exit codes. */
import { rmSync } from 'node:fs';
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { isStorageError, storageFault } from '../../services/region/storage-fault/storage-fault.ts';
import { systemReason } from '../../shared/config/make-directory.ts';
import { ConfigError } from '../../shared/errors/config-error.ts';
import { Fault, messageOf } from '../../shared/errors/errors.ts';
import { onInterrupt } from '../../shared/kernel/ending.ts';

/** A command has failed for a reason that the operator can read: exit code 1. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}

export type Given = Readonly<Record<string, string | boolean | readonly (string | boolean)[] | undefined>>;

/** Undefined if help was requested. Throws `ConfigError` for unknown arguments. */
export function argumentsOf(
  args: readonly string[],
  options: NonNullable<ParseArgsConfig['options']>,
): Given | undefined {
  try {
    const { values } = parseArgs({ args: [...args], options: { ...options, help: { type: 'boolean', short: 'h' } } });
    const given = values as Given;
    return given.help === true ? undefined : given;
  } catch (error) {
    throw new ConfigError(messageOf(error));
  }
}

export function required(given: Given, name: string): string {
  const value = given[name];
  if (typeof value !== 'string' || value === '') throw new ConfigError(`--${name} is required`);
  return value;
}

const leftovers = new Set<string>();

/** Partial files and directories, which an interrupted command removes. */
export function removedWhenInterrupted(...paths: readonly string[]): { release(): void } {
  for (const path of paths) leftovers.add(path);
  return {
    release() {
      for (const path of paths) leftovers.delete(path);
    },
  };
}

/** Exit codes: 0 done; 2 for a mistake of the operator; 1 for a failure or damage; 128 + n after the signal n. */
export async function leaveWith(program: string, run: () => Promise<void>): Promise<never> {
  // What it writes is its owner's alone: a backup holds the whole database.
  process.umask(0o077);
  onInterrupt(() => {
    for (const path of leftovers) rmSync(path, { recursive: true, force: true });
    process.stderr.write(`${program}: interrupted\n`);
  });
  try {
    await run();
    process.exit(0);
  } catch (error) {
    const { syscall, path, dest } = error as NodeJS.ErrnoException & { readonly dest?: string };
    const isSystem = syscall !== undefined && (path !== undefined || dest !== undefined);
    const isReadable = error instanceof ConfigError || error instanceof CommandError || error instanceof Fault;
    if (!(isReadable || isSystem || isStorageError(error))) throw error;
    // A problem with a file is for the operator to fix; a stack trace does not help.
    const full = !(error instanceof ConfigError) && storageFault(error).code === 'storage_full';
    const text = full ? `the disk is full: ${messageOf(error)}` : messageOf(error);
    const line = isSystem ? `${syscall} ${dest ?? path}: ${fileReason(error)}` : text;
    process.stderr.write(`${program}: ${line}\n`);
    if (error instanceof ConfigError) process.stderr.write('Try --help.\n');
    process.exit(error instanceof ConfigError ? 2 : 1);
  }
}

function fileReason(error: unknown): string {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ENOENT':
      return 'it does not exist (ENOENT)';
    case 'EISDIR':
      return 'it is a directory (EISDIR)';
    default:
      return systemReason(error) ?? messageOf(error);
  }
}

export function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
