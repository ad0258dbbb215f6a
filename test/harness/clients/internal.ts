/** The internal secret of the clusters under test, and what a test needs to pass their inner doors. */
import { randomBytes } from 'node:crypto';
import { InternalKeys } from '../../../shared/credentials/internal-keys.ts';

const secret = randomBytes(32).toString('base64url');

/** For every process of a cluster, and for commands that call one. */
export const internalEnvironment = { TIDAL_INTERNAL_SECRET: secret } as const;

export const internalKeys = new InternalKeys({ secrets: [secret], insecure: false });

/** Of every request to a region's own port. */
export const internalHeaders: Readonly<Record<string, string>> = internalKeys.headers;
