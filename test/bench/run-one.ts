/** The process of one benchmark: `run-apart.ts` forks it. */
import { once } from 'node:events';
import { loadBench } from './benches.ts';

const bench = await loadBench(process.argv[2] ?? '');
const result = await bench.run((progress) => process.stderr.write(`  ${progress}\n`));
process.send?.(result);
process.disconnect?.();
if (process.connected) await once(process, 'disconnect');
process.exit(0);
