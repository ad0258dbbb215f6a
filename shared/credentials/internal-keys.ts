/**
 * What a cluster's internal secret proves: that a request comes from a process of this cluster. From each valid secret one bearer
 * token is derived; requests carry that of the first, and those of all are accepted. Two secrets are valid while an operator
 * replaces one by the other (`docs/runbook.md`).
 *
 * The token authenticates the sender inside one trust domain. It does not hide what is sent, and it can be
 * used by everyone who reads it on the network: see `docs/adr/0021-inner-doors.md`.
 */
import { hkdfSync, timingSafeEqual } from 'node:crypto';

const KEY_BYTES = 32;
const SCHEME = 'Bearer ';

/** What is derived from one secret. */
interface Derived {
  /** Names the secret in logs; says nothing about it. */
  readonly id: string;
  readonly authorization: string;
  readonly authorizationBytes: Buffer;
  readonly secret: string;
}

export interface InternalKeysOptions {
  /** Valid secrets, the first one for sending; none: nothing is sent. */
  readonly secrets: readonly string[];
  /** True if what carries no credential is accepted as well. */
  readonly insecure: boolean;
}

export class InternalKeys {
  readonly insecure: boolean;
  private valid: readonly Derived[];

  constructor({ secrets, insecure }: InternalKeysOptions) {
    this.insecure = insecure;
    this.valid = secrets.map(derive);
  }

  /** Number of valid secrets. */
  get count(): number {
    return this.valid.length;
  }

  /** Of the valid secrets, the one for sending first. */
  get ids(): readonly string[] {
    return this.valid.map(({ id }) => id);
  }

  /** From now on these are valid, and no others. False if they were valid before, in this order. */
  replace(secrets: readonly string[]): boolean {
    if (secrets.join(' ') === this.valid.map(({ secret }) => secret).join(' ')) return false;
    this.valid = secrets.map(derive);
    return true;
  }

  /** Header of every request to a region. */
  get headers(): Readonly<Record<string, string>> {
    const [first] = this.valid;
    return first === undefined ? {} : { authorization: first.authorization };
  }

  /** Whether a request with this `Authorization` header comes from a process of this cluster. */
  accepts(authorization: string | undefined): boolean {
    if (this.insecure) return true;
    const given = Buffer.from(authorization ?? '');
    // Every comparison is made, each in constant time.
    return this.valid
      .map(
        ({ authorizationBytes }) =>
          given.length === authorizationBytes.length && timingSafeEqual(given, authorizationBytes),
      )
      .includes(true);
  }

  /** A text derived from each valid secret for one purpose, in their order. */
  derivedTexts(purpose: string): readonly string[] {
    return this.valid.map(({ secret }) => keyOf(secret, purpose, KEY_BYTES).toString('base64url'));
  }
}

function derive(secret: string): Derived {
  const authorization = `${SCHEME}${keyOf(secret, 'internal token', KEY_BYTES).toString('base64url')}`;
  return {
    id: keyOf(secret, 'secret id', 4).toString('hex'),
    authorization,
    authorizationBytes: Buffer.from(authorization),
    secret,
  };
}

/** HKDF-SHA256 (RFC 5869) without a salt: a secret has at least 32 random bytes. */
function keyOf(secret: string, purpose: string, bytes: number): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, '', `tidaldb 1 ${purpose}`, bytes));
}
