/** Health, for people and for orchestrators: it needs no key. */
import type { Router } from '@koa/router';
import type { ClusterReports, LeadershipView, RegionsView } from '../cluster/cluster.ts';

export interface HealthRoutesOptions {
  readonly reports: ClusterReports;
  readonly leadership: LeadershipView;
  readonly regions: RegionsView;
  /** True if this router is about to stop: it serves, but should get no new clients. */
  readonly draining: () => boolean;
}

export function addHealthRoutes(router: Router, options: HealthRoutesOptions): void {
  const { reports, leadership, regions, draining } = options;

  router.get('/health', async (ctx) => {
    const health = await reports.health();
    ctx.body = health;
    if (health.status !== 'unavailable') return;
    ctx.status = 503;
    ctx.set('retry-after', '1');
  });
  /** The process answers; nothing more. */
  router.get('/health/live', (ctx) => {
    ctx.body = { status: 'live' };
  });
  /** Writes can be forwarded: the leader is known and, at the last poll, it answered and was ready. */
  router.get('/health/ready', (ctx) => {
    const leader = leadership.current === undefined ? undefined : regions.known(leadership.current.leader);
    const able = leader?.reachable === true && leader.status.ready;
    const status = draining() ? 'draining' : able ? 'ready' : 'starting';
    ctx.status = status === 'ready' ? 200 : 503;
    ctx.body = { status, leader: leadership.current?.leader ?? null };
  });
}
