/** The internal secret of simulated clusters. */
import { InternalKeys } from '../../shared/credentials/internal-keys.ts';

export const internalKeys = new InternalKeys({
  secrets: ['the-internal-secret-of-every-simulated-cluster-0123456789'],
  insecure: false,
});

/** How the nonces of records begin that the intruder writes without the secret. */
export const FORGED = 'forged';
