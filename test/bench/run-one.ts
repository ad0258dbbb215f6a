/** The process of one benchmark: `run-apart.ts` forks it. */

import { once } from 'node:events';
import { onInterrupt } from '../../shared/kernel/ending.ts';
import { endWatched } from '../harness/processes/children-watch.ts';
import type { BenchSettings } from './bench.ts';
import { loadBench } from './benches.ts';

onInterrupt(() => endWatched());
const gone = (): void => void endWatched().finally(() => process.exit(1));
process.once('disconnect', gone);
const bench = await loadBench(process.argv[2] ?? '');
const settings = JSON.parse(process.argv[3] ?? '') as BenchSettings;
const result = await bench.run((progress) => process.stderr.write(`  ${progress}\n`), settings);
process.send?.(result);
process.off('disconnect', gone);
process.disconnect?.();
if (process.connected) await once(process, 'disconnect');
process.exit(0);
