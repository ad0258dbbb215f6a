/** The stream in memory keeps the contract of the real one: what is shown on it is shown of the system. */
import { systemClock } from '../../../shared/kernel/system.ts';
import { MemoryBroker } from '../../harness/stream/memory-stream.ts';
import { streamContract } from '../../harness/stream/stream-contract.ts';

streamContract('in memory', async () => new MemoryBroker({ clock: systemClock }));

streamContract(
  'in memory, over a wire that takes time',
  async () =>
    new MemoryBroker({ clock: systemClock, wire: { toServer: () => 2, toClient: () => 1, open: () => true } }),
);
