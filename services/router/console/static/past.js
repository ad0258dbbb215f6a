/** The samples of the last 15 minutes, those from before a restart of the router included. */

export const SPAN_MS = 15 * 60_000;

/**
 * @typedef {object} Sample
 * @property {number} atMs By the router's clock.
 * @property {number} writes
 * @property {number} reads
 * @property {Readonly<Record<string, { readonly events: number | null, readonly seconds: number | null }>>} lags By region.
 */

export class Past {
  /** @type {Sample[]} The oldest first. */
  samples = [];

  /** @param {import('../../../../shared/client/cluster-types.ts').LivePast} past */
  addPast({ at, writes_per_second, reads_per_second, lag_events, lag_seconds }) {
    for (const [index, time] of at.entries()) {
      const lags = Object.fromEntries(
        Object.keys(lag_events).map((region) => [
          region,
          { events: lag_events[region]?.[index] ?? null, seconds: lag_seconds[region]?.[index] ?? null },
        ]),
      );
      this.add({
        atMs: Date.parse(time),
        writes: writes_per_second[index] ?? 0,
        reads: reads_per_second[index] ?? 0,
        lags,
      });
    }
  }

  /** @param {import('../../../../shared/client/cluster-types.ts').LiveNow} now */
  addNow({ at, status, writes_per_second, reads_per_second }) {
    const lags = Object.fromEntries(
      status.regions.map(({ name, lag_events, lag_seconds }) => [name, { events: lag_events, seconds: lag_seconds }]),
    );
    this.add({ atMs: Date.parse(at), writes: writes_per_second, reads: reads_per_second, lags });
  }

  /** @param {Sample} sample */
  add(sample) {
    // One of the router's may be known already.
    if (this.samples.some(({ atMs }) => atMs === sample.atMs)) return;
    this.samples.push(sample);
    this.samples.sort((a, b) => a.atMs - b.atMs);
    const newestMs = this.samples.at(-1)?.atMs ?? 0;
    this.samples = this.samples.filter(({ atMs }) => atMs > newestMs - SPAN_MS);
  }

  /**
   * @param {(sample: Sample) => number | null | undefined} read
   * @returns {[atMs: number, value: number | null][]}
   */
  series(read) {
    return this.samples.map((sample) => [sample.atMs, read(sample) ?? null]);
  }
}
