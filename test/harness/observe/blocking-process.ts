/** A process that blocks its event loop for 200 ms of marked work and 150 ms of other work, and prints the longest turns it measured. */
import { systemClock as clock, systemEventLoop as loop } from '../../../shared/kernel/system.ts';
import { createMetrics } from '../../../shared/observe/metrics.ts';
import { TurnWatch } from '../../../shared/observe/turn-watch.ts';
import { silentLog } from './silent-log.ts';

const metrics = createMetrics({ process: 'region', name: 'us-east', nodeMetrics: false });
const watch = new TurnWatch({ clock, loop, log: silentLog, metrics });

function block(ms: number): void {
  for (const endMs = clock.monotonicMs() + ms; clock.monotonicMs() < endMs; );
}

const next = (): Promise<void> => new Promise((resolve) => clock.after(50, resolve));

await next();
watch.mark('checkpoint');
block(200);
await next();
block(150);
await next();
// Enough garbage for a collection.
const kept: number[][] = [];
for (let count = 0; count < 200_000; count++) kept.push([count, count + 1]);
await next();
const { text } = await metrics.render();
const longest: Record<string, number> = { kept: kept.length };
for (const [, activity, seconds] of text.matchAll(/^tidal_longest_turn_seconds\{activity="(\w+)".*\} (\S+)$/gm)) {
  longest[activity!] = Number(seconds);
}
process.stdout.write(JSON.stringify(longest));
// The heartbeat alone keeps no process alive.
