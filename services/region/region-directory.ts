/** Checks what a data directory may be used for, before anything in it is used, and stores what a start has to store. */
import { isDeepStrictEqual } from 'node:util';
import { ConfigError } from '../../shared/errors/config-error.ts';
import { type Random, randomName } from '../../shared/kernel/kernel.ts';
import type { Log } from '../../shared/observe/log.ts';
import { DISK_ID_LENGTH } from '../../shared/protocol/known-disks.ts';
import { totalOf } from '../../shared/protocol/position.ts';
import {
  describeSchema,
  reanalysedFields,
  requireCompatible,
  type SchemaDescription,
} from './compatible/compatible.ts';
import type { Schema } from './schema/schema.ts';
import { CATCHING_UP_INSTALLED } from './snapshot/snapshot.ts';
import { isStorageFull } from './storage-fault/storage-fault.ts';
import type { Wal } from './wal/wal.ts';

export interface DirectoryOptions {
  readonly wal: Wal;
  readonly region: string;
  readonly random: Random;
  readonly log: Log;
  readonly schema: Schema;
  readonly schemaFile: string;
  /** True if there is no other region to catch up with. */
  readonly alone: boolean;
}

export interface Directory {
  /** True if the log is empty, or was empty at a start and has not caught up since: it is incomplete, not just old. */
  readonly startedEmpty: boolean;
  /** True if a snapshot was installed since: missing events are received by stream and repair. */
  readonly installed: boolean;
}

/**
 * A directory belongs to one region, has an id, and a schema only adds to the one the log was written under. New marks are noted:
 * they are on the disk before the first write that depends on them, and a full disk does not prevent the start.
 */
export async function takeDirectory(options: DirectoryOptions): Promise<Directory> {
  const { wal, region, random, log, schema, schemaFile, alone } = options;
  const owner = wal.mark('region');
  if (owner !== undefined && owner !== region) {
    throw new ConfigError(`the data directory belongs to the region ${String(owner)}, not to ${region}`);
  }
  requireAccepted(wal, schema, schemaFile);
  if ((wal.mark('mending') ?? false) !== false) {
    throw new ConfigError('a mend of this data directory was interrupted: run it again (docs/runbook.md)');
  }
  if (owner === undefined) wal.noteMark('region', region);
  if (typeof wal.mark('disk') !== 'string') wal.noteMark('disk', randomName(random, DISK_ID_LENGTH));
  const description = describeSchema(schema);
  const former = wal.mark('schema');
  const fields = former === undefined ? [] : reanalysedFields(former, description);
  if (fields.length > 0) log.info('text analysis changed, items are indexed again', { fields: fields.join(', ') });
  if (!isDeepStrictEqual(former, description)) wal.noteMark('schema', description);
  const installed = wal.mark('catching_up') === CATCHING_UP_INSTALLED;
  const catchingUp = wal.mark('catching_up') === true;
  const startedEmpty = totalOf(wal.durable) === 0 || catchingUp || installed;
  if (startedEmpty && !catchingUp && !installed && !alone) wal.noteMark('catching_up', true);
  await storeNotes(wal, log);
  return { startedEmpty, installed };
}

/** Called when the region has caught up. */
export async function markCaughtUp(wal: Wal, log: Log): Promise<void> {
  if ((wal.mark('catching_up') ?? false) === false) return;
  wal.noteMark('catching_up', false);
  await storeNotes(wal, log);
}

/** On a full disk they stay noted. Throws `Fault` if the store failed. */
export async function storeNotes(wal: Pick<Wal, 'flushNotes' | 'noted'>, log: Log): Promise<void> {
  try {
    await wal.flushNotes();
  } catch (error) {
    if (!isStorageFull(error)) throw error;
    log.warn('marks not stored, disk full', { marks: [...wal.noted] });
  }
}

/** Throws `ConfigError` where the schema may not follow the one that this log, or a copy of one, was written under. */
export function requireAccepted(wal: Wal, schema: Schema, schemaFile: string): void {
  const accepted = wal.mark('schema') as SchemaDescription | undefined;
  if (accepted !== undefined) requireCompatible(accepted, schema, schemaFile);
}
