/**
 * What a disk says when there is no room, whichever way it says it: `Fault('storage_full')`. Nothing was written, and the
 * same may be tried again once there is room. Everything else is `Fault('storage_failed')`: the process must end.
 *
 * No room: the file system has none left (ENOSPC), the user's or project's quota is used up (EDQUOT), the file may not grow
 * (EFBIG: a limit of the process or of the file system), LMDB's map may not (MDB_MAP_FULL).
 *
 * Not among them, though operators meet them on full disks: an I/O error, and a file system that has become read-only
 * (EROFS, what Linux does after an I/O error). Room does not mend those, and what was written before is in doubt.
 */
import { Fault, messageOf } from '../../../shared/errors/errors.ts';

const fullCodes: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);
/** LMDB and hnswlib give texts only: of the C library (glibc and musl word EDQUOT differently), or LMDB's own. */
const fullText = /MDB_MAP_FULL|No space left|quota exceeded|File too large|\b(?:ENOSPC|EDQUOT|EFBIG)\b/i;
const storageText = /^MDB_|Input\/output|I\/O error|Read-only file system|\b(?:EIO|EROFS)\b/i;

/** Whether the disk has no room for what was being written. */
export function isOutOfSpace(error: unknown): boolean {
  if (error instanceof Fault) return error.code === 'storage_full';
  const code = (error as NodeJS.ErrnoException | null)?.code;
  if (typeof code === 'string' && /^E[A-Z0-9]+$/.test(code)) return fullCodes.has(code);
  return fullText.test(messageOf(error));
}

/** Whether the disk is what failed, and not the caller's own code. */
export function isStorageError(error: unknown): boolean {
  return isOutOfSpace(error) || storageText.test(messageOf(error));
}

/** A foreign error from the disk, as this program names it. */
export function storageFault(error: unknown): Fault {
  if (error instanceof Fault) return error;
  return new Fault(isOutOfSpace(error) ? 'storage_full' : 'storage_failed', messageOf(error), { cause: error });
}
