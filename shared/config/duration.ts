/** Durations as written in configuration files and requests: `45s`, `30m`, `24h`, `7d`. */

const unitSeconds: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };

export const durationPattern = /^([1-9][0-9]{0,8})([smhd])$/;

/** Seconds; undefined if it is not a duration. */
export function parseDurationSeconds(text: string): number | undefined {
  const [, count, unit] = durationPattern.exec(text) ?? [];
  if (count === undefined || unit === undefined) return undefined;
  return Number(count) * unitSeconds[unit]!;
}

/** In the largest unit that divides it: 86400 → `1d`. The reverse of {@link parseDurationSeconds}. */
export function formatDuration(seconds: number): string {
  const [unit, size] = Object.entries(unitSeconds).findLast(([, size]) => seconds % size === 0)!;
  return `${seconds / size}${unit}`;
}
