/**
 * A process that has a vector index in a thread, stops it while it builds its graph, and then has nothing left to do. It does so some
 * times, because a thread that is ended within native code aborts the process only sometimes.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createVectors } from '../../../../../services/region/state/vectors/vector-client.ts';
import { threadVectors } from '../../../../../services/region/state/vectors/vector-thread.ts';
import { systemClock as clock } from '../../../../../shared/kernel/system.ts';
import { createMetrics } from '../../../../../shared/observe/metrics.ts';
import { eventually } from '../../../kernel/eventually.ts';
import { silentLog } from '../../../observe/silent-log.ts';
import { TinyCatalog } from '../tiny-state.ts';
import { vectorsFrom } from './vectors.ts';

const ROUNDS = 5;

const directory = mkdtempSync(join(tmpdir(), 'tidal-thread-'));
const catalog = new TinyCatalog();
for (const [entity, values] of vectorsFrom(69, 20_000, 16).entries()) {
  catalog.put(entity);
  catalog.embed(entity, [...values]);
}
let graphed = 0;
for (let round = 0; round < ROUNDS; round++) {
  const vectors = createVectors({
    clock,
    log: silentLog,
    metrics: createMetrics({ process: 'region', name: 'us-east', nodeMetrics: false }),
    dimensions: 16,
    entities: catalog.entities,
    catalog,
    open: threadVectors({ path: join(directory, `vectors-${round}`) }),
  });
  vectors.start();
  await eventually('the graph is begun', () => vectors.stats.graphed > 0, 30_000);
  ({ graphed } = vectors.stats);
  await vectors.stop();
}
rmSync(directory, { recursive: true, force: true });
process.stdout.write(`stopped with ${graphed} of 20000\n`);
