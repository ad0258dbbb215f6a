/**
 * Checks requests against the valid keys; without any, all pass. Every key is compared, each in constant time, so that the time of a refusal says
 * nothing about a key.
 *
 * A key's rate is a token bucket that holds the requests of one second, at least one.
 */
import { hash, timingSafeEqual } from 'node:crypto';
import type { Context } from 'koa';
import { Refusal } from '../../../shared/errors/errors.ts';
import { nameKey } from '../../../shared/http/request-log.ts';
import type { Clock } from '../../../shared/kernel/kernel.ts';
import type { Metrics } from '../../../shared/observe/metrics.ts';
import type { Access, AccessKey, Scope } from './keys.ts';

/** The scheme's name is case-insensitive (RFC 9110). */
const bearerPattern = /^bearer +([\x21-\x7e]+) *$/i;
const SECRET_LIMIT_CHARACTERS = 512;
const CHALLENGE = 'Bearer realm="tidaldb"';

export interface KeyAccessOptions {
  readonly keys: readonly AccessKey[];
  readonly clock: Clock;
  readonly metrics: Metrics;
}

interface Bucket {
  readonly rate: number;
  tokens: number;
  filledMs: number;
}

const reasons = ['no_key', 'unknown_key', 'expired_key', 'scope', 'rate'] as const;
type Reason = (typeof reasons)[number];

export class KeyAccess implements Access {
  private readonly clock: Clock;
  private readonly refused;
  private readonly buckets = new Map<string, Bucket>();
  private keys: readonly AccessKey[];

  constructor({ keys, clock, metrics }: KeyAccessOptions) {
    this.keys = keys;
    this.clock = clock;
    this.refused = metrics.counter({
      name: 'tidal_router_access_refused_total',
      help: 'Requests refused for their key, by reason: no_key, unknown_key, expired_key, scope, rate.',
      labels: ['reason'],
      series: reasons.map((reason) => ({ reason })),
    });
    metrics.gauge({
      name: 'tidal_router_keys',
      help: 'Keys that are valid now.',
      read: () => this.keys.filter((key) => !this.isExpired(key)).length,
    });
  }

  /** From now on these are valid and no others. A key that keeps its name and rate keeps what it has used of it. */
  replace(keys: readonly AccessKey[]): void {
    this.keys = keys;
    for (const name of this.buckets.keys()) {
      if (!keys.some((key) => key.name === name)) this.buckets.delete(name);
    }
  }

  check(ctx: Context, scope: Scope | undefined): void {
    if (this.keys.length === 0) return;
    const key = this.keyOf(ctx.get('authorization'));
    nameKey(ctx, key.name);
    this.take(key);
    if (scope === undefined || key.scopes.includes(scope)) return;
    this.refused.inc({ reason: 'scope' });
    throw new Refusal('forbidden', `this needs the scope ${scope}; the key ${key.name} has ${key.scopes.join(', ')}`, {
      hint: `use a key with the scope ${scope}`,
      challenge: `${CHALLENGE}, error="insufficient_scope", scope="${scope}"`,
    });
  }

  stillAllows(ctx: Context, scope: Scope): boolean {
    if (this.keys.length === 0) return true;
    const key = this.find(ctx.get('authorization'));
    return key !== undefined && !this.isExpired(key) && key.scopes.includes(scope);
  }

  private keyOf(authorization: string): AccessKey {
    if (authorization === '') throw this.unauthenticated('no_key', 'the request has no key');
    if (secretOf(authorization) === undefined) {
      throw this.unauthenticated('unknown_key', 'the Authorization header is not a bearer key');
    }
    const found = this.find(authorization);
    if (found === undefined) throw this.unauthenticated('unknown_key', 'the key is not known');
    if (this.isExpired(found)) throw this.unauthenticated('expired_key', `the key ${found.name} has expired`);
    return found;
  }

  private find(authorization: string): AccessKey | undefined {
    const secret = secretOf(authorization);
    if (secret === undefined) return undefined;
    const digest = digestOf(secret);
    let found: AccessKey | undefined;
    for (const key of this.keys) if (timingSafeEqual(key.digest, digest)) found ??= key;
    return found;
  }

  private unauthenticated(reason: Reason, detail: string): Refusal {
    this.refused.inc({ reason });
    return new Refusal('unauthenticated', detail, {
      hint: 'send the header Authorization: Bearer <key>',
      challenge: reason === 'no_key' ? CHALLENGE : `${CHALLENGE}, error="invalid_token"`,
    });
  }

  private isExpired({ expiresMs }: AccessKey): boolean {
    return expiresMs !== undefined && this.clock.nowMs() >= expiresMs;
  }

  /** The refusal of a request whose key has used its rate up. Costs less than {@link check}, and uses nothing of the rate. */
  overRate(authorization: string | undefined): Refusal | undefined {
    if (authorization === undefined || !this.keys.some(({ rate }) => rate !== undefined)) return undefined;
    const key = this.find(authorization);
    return key === undefined || this.isExpired(key) ? undefined : this.rateRefusal(key);
  }

  /** Throws `rate_limited` if the key has used its rate up. */
  private take(key: AccessKey): void {
    const refusal = this.rateRefusal(key);
    if (refusal !== undefined) throw refusal;
    const bucket = this.buckets.get(key.name);
    if (bucket !== undefined) bucket.tokens -= 1;
  }

  private rateRefusal({ name, rate }: AccessKey): Refusal | undefined {
    if (rate === undefined) return undefined;
    const nowMs = this.clock.monotonicMs();
    const capacity = Math.max(1, rate);
    let bucket = this.buckets.get(name);
    if (bucket?.rate !== rate) {
      bucket = { rate, tokens: capacity, filledMs: nowMs };
      this.buckets.set(name, bucket);
    }
    bucket.tokens = Math.min(capacity, bucket.tokens + ((nowMs - bucket.filledMs) / 1_000) * rate);
    bucket.filledMs = nowMs;
    if (bucket.tokens >= 1) return undefined;
    this.refused.inc({ reason: 'rate' });
    return new Refusal('rate_limited', `the key ${name} may make ${rate} requests a second at this router`, {
      retryAfterSeconds: Math.ceil((1 - bucket.tokens) / rate),
    });
  }
}

function secretOf(authorization: string): string | undefined {
  const secret = bearerPattern.exec(authorization)?.[1];
  return secret === undefined || secret.length > SECRET_LIMIT_CHARACTERS ? undefined : secret;
}

/** What the router keeps of a secret. */
export function digestOf(secret: string): Buffer {
  return hash('sha256', secret, 'buffer');
}
