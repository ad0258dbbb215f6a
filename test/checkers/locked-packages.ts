/** What `package-lock.json` installs. */
import { readFileSync } from 'node:fs';

export interface LockedPackage {
  /** Where it is installed: `node_modules/a/node_modules/b`. */
  readonly path: string;
  readonly name: string;
  readonly version: string;
  readonly licence: string;
  readonly integrity: string | undefined;
  readonly hasScript: boolean;
  readonly isProduction: boolean;
  /** Installed on some platforms alone. */
  readonly isOptional: boolean;
  readonly requires: readonly string[];
}

interface Entry {
  readonly version: string;
  readonly license?: string;
  readonly integrity?: string;
  readonly hasInstallScript?: boolean;
  readonly dev?: boolean;
  readonly devOptional?: boolean;
  readonly optional?: boolean;
  readonly inBundle?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

let read: readonly LockedPackage[] | undefined;

export function lockedPackages(): readonly LockedPackage[] {
  if (read !== undefined) return read;
  const text = readFileSync(new URL('../../../package-lock.json', import.meta.url), 'utf8');
  const { packages } = JSON.parse(text) as { readonly packages: Readonly<Record<string, Entry>> };
  read = Object.entries(packages)
    .filter(([path]) => path !== '')
    .map(([path, entry]) => ({
      path,
      name: path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length),
      version: entry.version,
      licence: entry.license ?? 'none',
      integrity: entry.integrity,
      hasScript: entry.hasInstallScript === true,
      isProduction: entry.dev !== true && entry.devOptional !== true,
      isOptional: entry.optional === true,
      requires: Object.keys({ ...entry.dependencies, ...entry.optionalDependencies }),
    }));
  return read;
}

export function productionPackages(): readonly LockedPackage[] {
  return lockedPackages().filter(({ isProduction }) => isProduction);
}
