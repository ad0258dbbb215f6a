/** The broker's metrics, if this router knows the broker's monitoring port. */
import type { Router } from '@koa/router';
import type { BrokerMetrics } from '../broker/broker.ts';

export function addBrokerRoute(router: Router, broker: BrokerMetrics): void {
  router.get('/metrics/nats', async (ctx) => {
    const { contentType, text } = await broker.render();
    ctx.body = text;
    ctx.set('content-type', contentType);
  });
}
