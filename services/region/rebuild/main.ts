/** The thread that builds facets and text index at a start. Joins their implementations. */
import { parentPort, workerData } from 'node:worker_threads';
import { assert } from '../../../shared/kernel/kernel.ts';
import { FacetGathering } from '../state/facets/facet-gathering.ts';
import { InvertedIndex } from '../state/text/inverted-index.ts';
import { Builder } from './builder.ts';
import { buffersOf } from './moved-buffers.ts';
import type { ToBuilder } from './rebuild.ts';
import type { BuilderThreadData } from './rebuild-thread.ts';

const port = parentPort;
assert(port !== null, 'the builder is a thread');
const { fieldNames } = workerData as BuilderThreadData;
const builder = new Builder({
  create: (metadataOf) => ({ text: new InvertedIndex({ fieldNames }), facets: new FacetGathering({ metadataOf }) }),
  reply: (message) => port.postMessage(message, message.kind === 'built' ? buffersOf(message) : []),
});
port.on('message', (message: ToBuilder) => builder.take(message));
