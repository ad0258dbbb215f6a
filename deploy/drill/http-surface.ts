/** A cluster through the HTTP surface of its routers, for drills. */
import type { ClusterHealth, ClusterStatus, VerifyAnswer } from '../../services/router/cluster/cluster.ts';
import { messageOf } from '../../shared/errors/errors.ts';
import { CommandError } from '../backup/command.ts';
import { NoAnswer, parsedBody, type Routers, sentenceOf } from '../tidal/cluster/request.ts';
import { REQUEST_LIMIT_MS } from './drill.ts';
import type { Answered, Removal, SignalWrite, Surface } from './surface.ts';

const PUT_LIMIT = 5_000;
const REMOVALS_AT_ONCE = 16;

interface ShownItems {
  readonly items: readonly {
    readonly entity_id: number;
    readonly signals: Readonly<Record<string, { readonly all?: number }>>;
  }[];
  readonly remaining: readonly number[];
}

export class HttpSurface implements Surface {
  private readonly routers: Routers;
  private held = false;

  constructor(routers: Routers) {
    this.routers = routers;
  }

  status(): Promise<ClusterStatus> {
    return this.routers.get('/cluster/status');
  }

  health(): Promise<ClusterHealth> {
    return this.routers.get('/health');
  }

  verify(): Promise<VerifyAnswer> {
    return this.routers.post('/cluster/verify', {});
  }

  async partition(region: string, healAfterMs: number): Promise<void> {
    await this.routers.post('/cluster/partition', { region, heal_after: healAfterMs / 1_000 });
  }

  async heal(region: string, wait: boolean): Promise<void> {
    await this.routers.post('/cluster/heal', { region, wait });
  }

  async promote(region: string, force: boolean): Promise<void> {
    await this.routers.post('/cluster/promote', { region, force });
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

  async removeItems(entities: readonly number[]): Promise<Removal> {
    const left = [...entities];
    const failed: number[] = [];
    let why = '';
    // Each ends at its first failure: a router that is away is not asked for every item.
    const remove = async (): Promise<void> => {
      for (let entity = left.shift(); entity !== undefined; entity = left.shift()) {
        try {
          await this.done(`/items/${entity}`, { method: 'DELETE' });
        } catch (error) {
          failed.push(entity);
          why = messageOf(error);
          return;
        }
      }
    };
    await Promise.all(Array.from({ length: REMOVALS_AT_ONCE }, remove));
    // Those that failed are the last to be tried again.
    return { left: [...left, ...failed], why };
  }

  async sums(region: string, entities: readonly number[], signal: string): Promise<ReadonlyMap<number, number>> {
    const sums = new Map<number, number>();
    for (let ids = entities; ids.length > 0; ) {
      const shown = await this.routers.get<ShownItems>('/items', { ids: ids.join(','), region, fields: 'title' });
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

  private async answered(
    path: string,
    init: RequestInit & { readonly headers?: Readonly<Record<string, string>> },
  ): Promise<Answered> {
    try {
      const { status, body } = await this.sent(path, { ...init, signal: AbortSignal.timeout(REQUEST_LIMIT_MS) });
      if (status === 200) return { outcome: 'done' };
      const code = typeof body.code === 'string' ? body.code : `status ${status}`;
      // Only a refusal says that nothing was changed: a proxy, a time-out and an internal error do not.
      const refused = typeof body.code === 'string' && status !== 500 && status !== 504;
      return { outcome: refused ? 'refused' : 'unknown', code };
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error;
      return { outcome: error.notSent ? 'refused' : 'unknown', code: error.reason };
    }
  }

  /** A body that is not JSON is empty. Throws `NoAnswer`. */
  private async sent(
    path: string,
    init: RequestInit & { readonly headers?: Readonly<Record<string, string>> },
  ): Promise<{ readonly status: number; readonly body: Readonly<Record<string, unknown>> }> {
    const { status, text } = await this.routers.fetch(path, init);
    return { status, body: parsedBody(text) ?? {} };
  }
}
