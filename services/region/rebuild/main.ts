/** A thread that builds one of the indexes of a start. Joins their implementations. */
import { setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { assert } from '../../../shared/kernel/kernel.ts';
import { Builder } from './builder.ts';
import { gathererOf } from './gatherers.ts';
import { buffersOf } from './moved-buffers.ts';
import type { ToBuilder } from './rebuild.ts';
import type { BuilderThreadData } from './rebuild-thread.ts';

/** Nice value: a third of the region's share of a processor they both want. */
const BEHIND = 5;
/** Arrays of this many numbers are returned to the system as a whole, and their unused part takes no memory. */
const ROOM = 10 * 1024 * 1024;

const port = parentPort;
assert(port !== null, 'a builder is a thread');
// For this thread alone, if the system supports that: with few processors the region's own thread has priority, and feeds with
// it.
if (process.platform === 'linux') setPriority(BEHIND);
const { build, fieldNames, analyses } = workerData as BuilderThreadData;
const builder = new Builder({
  create: (metadataOf) => gathererOf(build, { fieldNames, analyses, metadataOf, capacity: ROOM }),
  reply: (message) => port.postMessage(message, message.kind === 'built' ? buffersOf(message) : []),
});
port.on('message', (message: ToBuilder) => builder.take(message));
