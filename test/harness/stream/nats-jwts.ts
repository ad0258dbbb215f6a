/** Operator, account and users of a nats-server with JWTs, and the credentials files of the users, as `nsc` makes them. */
import { nkeys } from 'nats';

type KeyPair = ReturnType<typeof nkeys.createUser>;

const forever = { subs: -1, data: -1, payload: -1 };

export interface JwtUser {
  readonly publish?: readonly string[];
  readonly subscribe?: readonly string[];
  /** Seconds since 1970. */
  readonly expires?: number;
}

export class NatsJwts {
  private readonly operator = nkeys.createOperator();
  private readonly account = nkeys.createAccount();
  private readonly system = nkeys.createAccount();

  /** Lines of the server's configuration. */
  get settings(): readonly string[] {
    const operator = signed(this.operator, this.operator, 'test', { type: 'operator', version: 2 });
    return [
      `operator: ${operator}`,
      `system_account: ${this.system.getPublicKey()}`,
      'resolver: MEMORY',
      `resolver_preload: { ${this.accountEntry(this.account)}, ${this.accountEntry(this.system)} }`,
    ];
  }

  /** A credentials file of a new user of the account. */
  credentials(name: string, user: JwtUser = {}): string {
    return this.credentialsBy(this.account, name, user);
  }

  /** Of an account that the server does not know. */
  foreignCredentials(name: string): string {
    return this.credentialsBy(nkeys.createAccount(), name, {});
  }

  private credentialsBy(account: KeyPair, name: string, { publish, subscribe, expires }: JwtUser): string {
    const user = nkeys.createUser();
    const jwt = signed(
      account,
      user,
      name,
      {
        ...{ type: 'user', version: 2, ...forever },
        pub: publish === undefined ? {} : { allow: publish },
        sub: subscribe === undefined ? {} : { allow: subscribe },
      },
      expires,
    );
    const seed = Buffer.from(user.getSeed()).toString();
    return [
      ...['-----BEGIN NATS USER JWT-----', jwt, '------END NATS USER JWT------', ''],
      ...['-----BEGIN USER NKEY SEED-----', seed, '------END USER NKEY SEED------', ''],
    ].join('\n');
  }

  private accountEntry(account: KeyPair): string {
    // The system's account may not have JetStream.
    const storage = account === this.account ? -1 : 0;
    const limits = {
      ...{ ...forever, conn: -1, leaf: -1, imports: -1, exports: -1, wildcards: true },
      ...{ mem_storage: storage, disk_storage: storage, streams: storage, consumer: storage },
    };
    const claims = { type: 'account', version: 2, limits, default_permissions: { pub: {}, sub: {} } };
    return `${account.getPublicKey()}: ${signed(this.operator, account, 'test', claims)}`;
  }
}

/** JWT with the algorithm `ed25519-nkey`. */
function signed(issuer: KeyPair, subject: KeyPair, name: string, nats: object, exp?: number): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const claims = {
    ...{ jti: name, iat: Math.floor(Date.now() / 1_000), iss: issuer.getPublicKey(), sub: subject.getPublicKey() },
    ...{ name, nats, ...(exp === undefined ? {} : { exp }) },
  };
  const text = `${part({ typ: 'JWT', alg: 'ed25519-nkey' })}.${part(claims)}`;
  return `${text}.${Buffer.from(issuer.sign(Buffer.from(text))).toString('base64url')}`;
}
