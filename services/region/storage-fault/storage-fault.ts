/**
 * Classifies errors of the disk. Every error for lack of space is `Fault('storage_full')`: nothing was written, and the write may
 * be tried again once there is free space. Everything else is `Fault('storage_failed')`: the process must end.
 *
 * Lack of space: the file system is full (ENOSPC), the user's or project's quota is used up (EDQUOT), the file may not grow
 * (EFBIG: a limit of the process or of the file system), LMDB's map may not (MDB_MAP_FULL).
 *
 * Not included, though they occur on full disks: an I/O error, and a file system that has become read-only (EROFS, by Linux after
 * an I/O error). Free space does not repair those, and earlier writes are in doubt.
 */
import { Fault, messageOf } from '../../../shared/errors/errors.ts';

const fullCodes: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);
/** LMDB and hnswlib only give texts: of the C library (glibc and musl word EDQUOT differently), or LMDB's own. */
const fullText = /MDB_MAP_FULL|No space left|quota exceeded|File too large|\b(?:ENOSPC|EDQUOT|EFBIG)\b/i;
const storageText = /^MDB_|Input\/output|I\/O error|Read-only file system|\b(?:EIO|EROFS)\b/i;

/** Whether the disk had no space for the write. */
export function isOutOfSpace(error: unknown): boolean {
  if (error instanceof Fault) return isStorageFull(error);
  const code = (error as NodeJS.ErrnoException | null)?.code;
  if (typeof code === 'string' && /^E[A-Z0-9]+$/.test(code)) return fullCodes.has(code);
  return fullText.test(messageOf(error));
}

/** The same of an error that was translated. */
export function isStorageFull(error: unknown): error is Fault {
  return error instanceof Fault && error.code === 'storage_full';
}

/** Whether the disk is what failed, and not the caller's own code. */
export function isStorageError(error: unknown): boolean {
  return isOutOfSpace(error) || storageText.test(messageOf(error));
}

/** Translates a foreign error of the disk. */
export function storageFault(error: unknown): Fault {
  if (error instanceof Fault) return error;
  return new Fault(isOutOfSpace(error) ? 'storage_full' : 'storage_failed', messageOf(error), { cause: error });
}
