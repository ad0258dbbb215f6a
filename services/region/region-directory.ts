/** What a data directory may be opened as, before anything of it is used. */
import { isDeepStrictEqual } from 'node:util';
import { ConfigError } from '../../shared/config/config-error.ts';
import { describeSchema, requireCompatible, type SchemaDescription } from '../../shared/schema/compatible.ts';
import type { Schema } from '../../shared/schema/schema.ts';
import type { Wal } from './wal/wal.ts';

/** A directory belongs to one region, and a schema only adds to the one the log was written under. */
export async function checkDirectory(wal: Wal, region: string, schema: Schema, schemaFile: string): Promise<void> {
  const owner = wal.mark('region');
  if (owner !== undefined && owner !== region) {
    throw new ConfigError(`the data directory belongs to the region ${String(owner)}, not to ${region}`);
  }
  if (owner === undefined) await wal.storeMark('region', region);
  requireAccepted(wal, schema, schemaFile);
  // Only what is new is written: a region with a full disk starts and serves reads.
  const description = describeSchema(schema);
  if (!isDeepStrictEqual(wal.mark('schema'), description)) await wal.storeMark('schema', description);
}

/** Throws `ConfigError` where the schema may not follow the one that this log, or a copy of one, was written under. */
export function requireAccepted(wal: Wal, schema: Schema, schemaFile: string): void {
  const accepted = wal.mark('schema') as SchemaDescription | undefined;
  if (accepted !== undefined) requireCompatible(accepted, schema, schemaFile);
}
