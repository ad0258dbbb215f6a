/** Errors of a disk without free space, and other errors. */
import assert from 'node:assert/strict';
import { isOutOfSpace, isStorageError, storageFault } from '../../../../services/region/storage-fault/storage-fault.ts';
import { Fault } from '../../../../shared/errors/errors.ts';

const withCode = (code: string): Error => Object.assign(new Error(`${code}: it failed, write`), { code });

describe('what a disk says', () => {
  for (const error of [
    withCode('ENOSPC'),
    withCode('EDQUOT'),
    withCode('EFBIG'),
    new Error('No space left on device'),
    new Error('Disk quota exceeded'),
    new Error('Quota exceeded'),
    new Error('File too large'),
    new Error('MDB_MAP_FULL: Environment mapsize limit reached'),
    new Fault('storage_full', 'no room for a copy'),
  ]) {
    it(`“${error.message}” means that there is no free space: it may be tried again`, () => {
      assert.equal(isOutOfSpace(error), true);
      assert.equal(isStorageError(error), true);
      assert.equal(storageFault(error).code, 'storage_full');
    });
  }

  for (const error of [
    withCode('EIO'),
    withCode('EROFS'),
    withCode('EACCES'),
    new Error('Input/output error'),
    new Error('Read-only file system'),
    new Error('MDB_CORRUPTED: Located page was wrong type'),
    new Error('MDB_TXN_FULL: Transaction has too many dirty pages - transaction too big'),
    new Fault('storage_failed', 'the copy is shorter than it was'),
  ]) {
    it(`“${error.message}” is no lack of space: the process must end`, () => {
      assert.equal(isOutOfSpace(error), false);
      assert.equal(storageFault(error).code, 'storage_failed');
    });
  }

  it('a file name that contains such a code does not affect another code', () => {
    const error = Object.assign(new Error("EACCES: permission denied, open '/data/ENOSPC'"), { code: 'EACCES' });
    assert.equal(isOutOfSpace(error), false);
  });
});
