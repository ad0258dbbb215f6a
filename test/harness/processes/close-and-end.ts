/**
 * A process with a stream client that closes it when its stdin ends and then has nothing left to do. With `subscribed` as
 * second argument it subscribes first. Says `subscribed`, every change of the connection and every outage on stdout. Exits
 * with 1 when something still holds it 3 s after the close.
 */
import { systemClock } from '../../../shared/kernel/system.ts';
import { connectJetStream } from '../../../shared/stream/jetstream.ts';
import { eventually } from '../kernel/eventually.ts';

const [, , url = '', mode] = process.argv;
const client = connectJetStream({
  url,
  name: 'close-and-end',
  clock: systemClock,
  settings: { maxBytes: 1_000_000 },
  log: { info: () => {}, warn: (message) => console.log(`outage: ${message}`) },
});
process.stdin.resume();
process.stdin.once('end', async () => {
  process.stdin.destroy();
  await client.close();
  setTimeout(() => {
    console.error('held open by', process.getActiveResourcesInfo());
    process.exit(1);
  }, 3_000).unref();
});
if (mode === 'subscribed') {
  await eventually('connected', () => client.stream.connected);
  await client.stream.ensure();
  await client.stream.subscribe({ from: 1, onMessage: async () => {}, onSubscriptionEnd: () => {} });
  console.log('subscribed');
}
