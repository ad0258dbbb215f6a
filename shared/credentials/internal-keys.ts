/**
 * What a cluster's internal secret proves: that a request, a message of the stream, or a value of the control bucket comes from a
 * process of this cluster. From each valid secret one bearer token is derived, one key for the messages of each region, and one for
 * the values of each key of the control bucket; the first secret's are used, and those of all are accepted. Two secrets are valid while an operator
 * replaces one by the other (`docs/runbook.md`).
 *
 * The token authenticates the sender inside one trust domain. It does not hide what is sent, and it can be
 * used by everyone who reads it on the network: see `docs/adr/0021-inner-doors.md`.
 */
import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';

const KEY_BYTES = 32;
const MAC_BYTES = 16;
const SCHEME = 'Bearer ';

/** What is derived from one secret. */
interface Derived {
  /** Names the secret in logs; says nothing about it. */
  readonly id: string;
  readonly authorization: string;
  readonly authorizationBytes: Buffer;
  readonly secret: string;
  /** By purpose: the key of its MACs. */
  readonly macKeys: Map<string, Buffer>;
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

  /** `<id of the secret>.<code>` for a message of a region: HMAC-SHA256 under the region's key, 128 bits. Undefined without a secret. */
  macOf(region: string, bytes: Uint8Array): string | undefined {
    return this.macFor(`messages of ${region}`, bytes);
  }

  /** As `macOf`, for a value of a key of the control bucket. */
  controlMacOf(key: string, bytes: Uint8Array): string | undefined {
    return this.macFor(`values of ${key}`, bytes);
  }

  /** Why a message is not one that the region has published, as `macOf` of a valid secret proves; undefined if it is one. */
  macFlaw(region: string, bytes: Uint8Array, mac: string | undefined): string | undefined {
    return this.flawOf(`messages of ${region}`, bytes, { mac, maker: region });
  }

  /** Why a value is not one that a process of the cluster has written under this key; undefined if it is one. */
  controlMacFlaw(key: string, bytes: Uint8Array, mac: string | undefined): string | undefined {
    return this.flawOf(`values of ${key}`, bytes, { mac, maker: 'a process of this cluster' });
  }

  /** Whether a valid MAC is under the secret for sending; one under the other is to be replaced. */
  isPresent(mac: string | undefined): boolean {
    return this.valid.length === 0 || mac?.split('.')[0] === this.valid[0]!.id;
  }

  private macFor(purpose: string, bytes: Uint8Array): string | undefined {
    const [first] = this.valid;
    return first && `${first.id}.${codeOf(first, purpose, bytes).toString('base64url')}`;
  }

  private flawOf(
    purpose: string,
    bytes: Uint8Array,
    { mac, maker }: { readonly mac: string | undefined; readonly maker: string },
  ): string | undefined {
    const [id, code = ''] = mac?.split('.') ?? [];
    const derived = this.valid.find((each) => each.id === id);
    if (derived === undefined) {
      if (this.insecure) return undefined;
      return mac === undefined ? 'carries no MAC' : 'carries a MAC under a secret that is not valid here';
    }
    const given = Buffer.from(code, 'base64url');
    const expected = codeOf(derived, purpose, bytes);
    if (given.length === expected.length && timingSafeEqual(given, expected)) return undefined;
    return `carries a MAC that is not of ${maker}`;
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
    macKeys: new Map(),
  };
}

function codeOf({ secret, macKeys }: Derived, purpose: string, bytes: Uint8Array): Buffer {
  let key = macKeys.get(purpose);
  if (key === undefined) {
    key = keyOf(secret, purpose, KEY_BYTES);
    macKeys.set(purpose, key);
  }
  return createHmac('sha256', key).update(bytes).digest().subarray(0, MAC_BYTES);
}

/** HKDF-SHA256 (RFC 5869) without a salt: a secret has at least 32 random bytes. */
function keyOf(secret: string, purpose: string, bytes: number): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, '', `tidaldb 1 ${purpose}`, bytes));
}
