/** The internal secret of simulated clusters. */
import { InternalKeys } from '../../shared/credentials/internal-keys.ts';

export const internalKeys = new InternalKeys({
  secrets: ['the-internal-secret-of-every-simulated-cluster-0123456789'],
  insecure: false,
});
