/** What the two programs here share: reading their arguments, and leaving with an exit code that says what happened. */
import { rmSync } from 'node:fs';
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { isStorageError, storageFault } from '../../services/region/storage-fault/storage-fault.ts';
import { systemReason } from '../../shared/config/make-directory.ts';
import { ConfigError } from '../../shared/errors/config-error.ts';
import { Fault, messageOf } from '../../shared/errors/errors.ts';
import { onInterrupt } from '../../shared/kernel/ending.ts';

export type Given = Readonly<Record<string, string | boolean | undefined>>;

/** Undefined when help was asked for. Throws `ConfigError` for what is not known. */
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

/** Files and directories that are of no use unless the command gets further: an interrupted one removes them. */
export function removedWhenInterrupted(...paths: readonly string[]): { release(): void } {
  for (const path of paths) leftovers.add(path);
  return {
    release() {
      for (const path of paths) leftovers.delete(path);
    },
  };
}

/** Exit codes: 0 done; 2 for what the operator can change; 1 for what failed or is damaged; 128 + n after the signal n. */
export async function leaveWith(program: string, run: () => Promise<void>): Promise<never> {
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
    if (!(error instanceof ConfigError || error instanceof Fault || isSystem || isStorageError(error))) throw error;
    // What is wrong with a file is the operator's to mend, and a stack trace does not help with it.
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
