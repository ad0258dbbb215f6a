/**
 * A process that writes the file of the vector index of a world through the production code, as a region does once its graph
 * is whole: `node build-graph.js <directory> <world size as JSON>`. A start that finds it takes the graph over.
 */
import { VectorFile } from '../../../services/region/state/vectors/vector-file.ts';
import { VectorServer } from '../../../services/region/state/vectors/vector-server.ts';
import { embeddingValues } from './embeddings.ts';
import { DIMENSIONS, embeddedItem, SEED, type WorldSize } from './world.ts';

/** Vectors that are taken together. */
const TOGETHER = 1_000;

const [directory = '', sizeText = '{}'] = process.argv.slice(2);
const size = JSON.parse(sizeText) as WorldSize;
const file = new VectorFile({ path: directory, dimensions: DIMENSIONS });
const server = new VectorServer({ dimensions: DIMENSIONS, file, reply() {} });
const values = embeddingValues(SEED);
for (let from = 0; from < size.embeddings; from += TOGETHER) {
  const count = Math.min(TOGETHER, size.embeddings - from);
  const flat = new Float32Array(count * DIMENSIONS);
  for (let index = 0; index < count; index++) flat.set(values.next().value, index * DIMENSIONS);
  server.take({
    kind: 'changes',
    ordinals: Uint32Array.from({ length: count }, (_, index) => from + index),
    entities: Float64Array.from({ length: count }, (_, index) => embeddedItem(from + index, size)),
    present: new Uint8Array(count).fill(1),
    values: flat,
  });
}
server.take({ kind: 'filled' });
await server.quiet();
while (server.work());
server.take({ kind: 'save', atMs: Date.now() });
await server.quiet();
