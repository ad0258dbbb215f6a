/**
 * Disks: what a region accepts lies on one disk first, so what may still come is a matter of disks, not of regions. A region
 * whose disk was lost has another one under the same name, and the old one may be put back (`docs/adr/0006`).
 *
 * A disk's id is drawn when a region first starts on an empty directory (or on one of an older version). A snapshot that takes
 * the store's place keeps it, since everything the former store had is in the new one. A backup that is restored gets an id of
 * its own, unless it takes the place of a store: that one's.
 */

/** Characters of an id. */
export const DISK_ID_LENGTH = 13;

const diskPattern = /^[a-z2-7]{10,32}$/;

/** Disks a region keeps account of, its own not counted. */
export const DISKS_LIMIT = 64;

export interface KnownDisk {
  readonly id: string;
  /** The region that ran on it last. */
  readonly region: string;
  /** Everything that was accepted on it until then is known to whoever says so, epoch ms; 0: that cannot be told yet. */
  readonly knownMs: number;
  /** An operator has said that it will not come back. */
  readonly retired: boolean;
}

export function isDiskId(value: unknown): value is string {
  return typeof value === 'string' && diskPattern.test(value);
}

/** Undefined when the value is no list of disks. An absent one is empty. */
export function parseDisks(value: unknown): readonly KnownDisk[] | undefined {
  if (value === undefined) return [];
  if (!Array.isArray(value) || value.length > DISKS_LIMIT) return undefined;
  const whole = (value as Partial<KnownDisk>[]).every(
    (disk) =>
      typeof disk === 'object' &&
      disk !== null &&
      isDiskId(disk.id) &&
      typeof disk.region === 'string' &&
      Number.isSafeInteger(disk.knownMs) &&
      disk.knownMs! >= 0 &&
      typeof disk.retired === 'boolean',
  );
  return whole
    ? (value as KnownDisk[]).map(({ id, region, knownMs, retired }) => ({ id, region, knownMs, retired }))
    : undefined;
}

/**
 * What two accounts know together: of each disk the later moment, retired where either says so. Beyond {@link DISKS_LIMIT}
 * retired disks are left out first, the ones that have been known longest; `left`: how many were left out that are not retired.
 */
export function joinDisks(
  known: readonly KnownDisk[],
  news: readonly KnownDisk[],
): { readonly disks: readonly KnownDisk[]; readonly left: number } {
  const joined = new Map(known.map((disk) => [disk.id, disk]));
  for (const disk of news) {
    const before = joined.get(disk.id);
    if (before === undefined) joined.set(disk.id, disk);
    else if (disk.knownMs > before.knownMs || (disk.retired && !before.retired)) {
      const region = disk.knownMs > before.knownMs ? disk.region : before.region;
      const knownMs = Math.max(disk.knownMs, before.knownMs);
      joined.set(disk.id, { id: disk.id, region, knownMs, retired: disk.retired || before.retired });
    }
  }
  let excess = joined.size - DISKS_LIMIT;
  for (const [id, { retired }] of joined) {
    if (excess <= 0) break;
    if (!retired) continue;
    joined.delete(id);
    excess--;
  }
  const disks = [...joined.values()];
  return { disks: disks.slice(0, DISKS_LIMIT), left: Math.max(0, excess) };
}
