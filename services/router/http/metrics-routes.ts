/** This process's metrics, and the broker's if this router knows the broker's monitoring port. */
import type { Router } from '@koa/router';
import type { Context } from 'koa';
import type { Metrics } from '../../../shared/observe/metrics.ts';
import type { BrokerMetrics } from '../broker/broker.ts';

export interface MetricsRoutesOptions {
  readonly metrics: Metrics;
  /** Absent: there is no `/metrics/nats`. */
  readonly broker?: BrokerMetrics | undefined;
}

export function addMetricsRoutes(router: Router, { metrics, broker }: MetricsRoutesOptions): void {
  const render = (source: Pick<Metrics, 'render'>) => async (ctx: Context) => {
    const { contentType, text } = await source.render();
    ctx.body = text;
    ctx.set('content-type', contentType);
  };
  router.get('/metrics', render(metrics));
  if (broker !== undefined) router.get('/metrics/nats', render(broker));
}
