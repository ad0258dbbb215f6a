/**
 * Disks: an accepted event is on one disk first, so events that may still arrive depend on disks, not on regions. A region whose
 * disk was lost has another one under the same name, and the old one may be restored (`docs/adr/0006`).
 *
 * A disk's id is drawn when a region first starts on an empty directory (or on one of an older version). A snapshot that replaces
 * the store keeps the id, since it contains everything that the former store had. A restored backup gets an id of its own, or, if
 * it replaces a store, that store's.
 */

/** Characters of an id. */
export const DISK_ID_LENGTH = 13;

const diskPattern = /^[a-z2-7]{10,32}$/;

/** Limit of disks in a region's account, without its own. */
export const DISKS_LIMIT = 64;

export interface KnownDisk {
  readonly id: string;
  /** The region that ran on it last. */
  readonly region: string;
  /** Everything that was accepted on it until then is known to the owner of this account, epoch ms; 0: unknown. */
  readonly knownMs: number;
  /** True if an operator has retired it. */
  readonly retired: boolean;
}

export function isDiskId(value: unknown): value is string {
  return typeof value === 'string' && diskPattern.test(value);
}

/** Undefined if the value is not a list of disks. An absent one is empty. */
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
 * The union of two accounts: for each disk the later time, retired if either says so. Beyond {@link DISKS_LIMIT} retired disks
 * are dropped first, those known longest; `left`: how many disks were dropped that are not retired.
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
