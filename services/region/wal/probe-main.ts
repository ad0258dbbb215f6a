/** The process that reads a store which may end it: 0, it is one; 1, it is not, and why is on stderr. */
import { messageOf } from '../../../shared/errors/errors.ts';
import { openLmdbStore } from './lmdb-store.ts';

try {
  const store = openLmdbStore({ path: process.argv[2]!, readOnly: true });
  store.readThrough();
  await store.close();
} catch (error) {
  process.stderr.write(messageOf(error));
  process.exitCode = 1;
}
