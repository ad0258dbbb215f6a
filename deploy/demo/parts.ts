/** Divides what the demo writes into bulks. */

/** Bounds of one bulk. The surface accepts 2 MB; smaller ones show progress and do not delay single writes. */
export const partLimits = { bytes: 1_000_000, records: 1_000 } as const;

/** In their order, as many as the limits allow at once; a record counts its JSON. */
export function* partsOf<T>(
  records: Iterable<T>,
  limits: { bytes: number; records: number } = partLimits,
): Generator<T[]> {
  let part: T[] = [];
  let bytes = 0;
  for (const record of records) {
    const size = Buffer.byteLength(JSON.stringify(record)) + 1;
    if (part.length > 0 && (bytes + size > limits.bytes || part.length >= limits.records)) {
      yield part;
      part = [];
      bytes = 0;
    }
    part.push(record);
    bytes += size;
  }
  if (part.length > 0) yield part;
}
