/** A cluster through a router's HTTP surface, for drills. */
import type { ClusterHealth, ClusterStatus, VerifyAnswer } from '../../services/router/cluster/cluster.ts';
import { CommandError } from '../backup/command.ts';
import { type Router, reasonOf, sentenceOf } from '../tidal/cluster/request.ts';
import type { Answered, SignalWrite, Surface } from './surface.ts';

/** Above the limits of a router, which holds a write for 10 s and waits 10 s for the leader's answer. */
const REQUEST_LIMIT_MS = 25_000;
const PUT_LIMIT = 5_000;
const REMOVALS_AT_ONCE = 16;

interface ShownItems {
  readonly items: readonly {
    readonly entity_id: number;
    readonly signals: Readonly<Record<string, { readonly all?: number }>>;
  }[];
  readonly remaining: readonly number[];
}

type Body = Readonly<Record<string, unknown>>;

export class HttpSurface implements Surface {
  private readonly router: Router;
  private held = false;

  constructor(router: Router) {
    this.router = router;
  }

  status(): Promise<ClusterStatus> {
    return this.router.get('/cluster/status');
  }

  health(): Promise<ClusterHealth> {
    return this.router.get('/health');
  }

  verify(): Promise<VerifyAnswer> {
    return this.router.post('/cluster/verify', {});
  }

  async partition(region: string, healAfterMs: number): Promise<void> {
    await this.router.post('/cluster/partition', { region, heal_after: healAfterMs / 1_000 });
  }

  async heal(region: string, wait: boolean): Promise<void> {
    await this.router.post('/cluster/heal', { region, wait });
  }

  async promote(region: string, force: boolean): Promise<void> {
    await this.router.post('/cluster/promote', { region, force });
  }

  write({ entity, signal, milliweight, key }: SignalWrite): Promise<Answered> {
    const body = JSON.stringify({ entity_id: entity, signal, weight: milliweight / 1_000 });
    const headers: Record<string, string> = key === undefined ? {} : { 'idempotency-key': key };
    return this.answered('/signals', { method: 'POST', body, headers });
  }

  read(): Promise<Answered> {
    return this.answered('/feed?profile=trending&limit=10', { method: 'GET' });
  }

  async putItems(entities: readonly number[], title: string): Promise<void> {
    for (let from = 0; from < entities.length; from += PUT_LIMIT) {
      const some = entities.slice(from, from + PUT_LIMIT);
      await this.done('/items', {
        method: 'POST',
        body: JSON.stringify(some.map((entity_id) => ({ entity_id, metadata: { title: `drill: ${title}` } }))),
      });
    }
  }

  async removeItems(entities: readonly number[]): Promise<void> {
    const left = [...entities];
    const remove = async (): Promise<void> => {
      for (let entity = left.pop(); entity !== undefined; entity = left.pop())
        await this.done(`/items/${entity}`, { method: 'DELETE' });
    };
    await Promise.all(Array.from({ length: REMOVALS_AT_ONCE }, remove));
  }

  async sums(region: string, entities: readonly number[], signal: string): Promise<ReadonlyMap<number, number>> {
    const sums = new Map<number, number>();
    for (let ids = entities; ids.length > 0; ) {
      const shown = await this.router.get<ShownItems>('/items', { ids: ids.join(','), region, fields: 'title' });
      for (const { entity_id: entity, signals } of shown.items)
        sums.set(entity, Math.round((signals[signal]?.all ?? 0) * 1_000));
      ids = shown.remaining;
    }
    return sums;
  }

  async holdLease({ id, title }: { readonly id: string; readonly title: string }): Promise<'held' | 'ended'> {
    const { status, body } = await this.sent('/cluster/drill', { method: 'POST', body: JSON.stringify({ id, title }) });
    if (status === 409 && this.held) return 'ended';
    if (status !== 200) throw new CommandError(sentenceOf(body));
    this.held = true;
    return 'held';
  }

  async endLease(id: string): Promise<void> {
    await this.done('/cluster/drill/end', { method: 'POST', body: JSON.stringify({ id }) });
  }

  private async done(path: string, init: RequestInit & { readonly headers?: never }): Promise<void> {
    const { status, body } = await this.sent(path, init);
    if (status !== 200) throw new CommandError(sentenceOf(body));
  }

  /** A body that is not JSON is empty. Throws `CommandError` if there is no answer. */
  private async sent(
    path: string,
    init: RequestInit & { readonly headers?: never },
  ): Promise<{ readonly status: number; readonly body: Body }> {
    try {
      const response = await this.router.fetch(path, init);
      return { status: response.status, body: (await response.json().catch(() => ({}))) as Body };
    } catch (error) {
      throw new CommandError(`no answer from ${this.router.url}: ${reasonOf(error)}`);
    }
  }

  private async answered(
    path: string,
    init: RequestInit & { readonly headers?: Readonly<Record<string, string>> },
  ): Promise<Answered> {
    try {
      const response = await this.router.fetch(path, { ...init, signal: AbortSignal.timeout(REQUEST_LIMIT_MS) });
      const body = (await response.json().catch(() => ({}))) as Body;
      if (response.status === 200) return { outcome: 'done' };
      const code = typeof body.code === 'string' ? body.code : `status ${response.status}`;
      // Only a refusal says that nothing was changed: a proxy, a time-out and an internal error do not.
      const refused = typeof body.code === 'string' && response.status !== 500 && response.status !== 504;
      return { outcome: refused ? 'refused' : 'unknown', code };
    } catch (error) {
      const { cause } = error as { readonly cause?: { readonly code?: unknown } };
      const code = typeof cause?.code === 'string' ? cause.code : reasonOf(error);
      return { outcome: code === 'ECONNREFUSED' ? 'refused' : 'unknown', code };
    }
  }
}
