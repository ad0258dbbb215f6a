/**
 * The public HTTP surface: the operations of the other parts as routes. Contract of this folder.
 *
 * Every route belongs to a group with the scope that a key needs for it, checked first. Everything that can be checked without a schema is checked here, before anything is forwarded.
 */
import { Router } from '@koa/router';
import type Koa from 'koa';
import type { Context } from 'koa';
import { Refusal } from '../../../shared/errors/errors.ts';
import { BodyBudget } from '../../../shared/http/body-budget.ts';
import { type HttpAppOptions, routeOf } from '../../../shared/http/http-server.ts';
import type { Clock } from '../../../shared/kernel/kernel.ts';
import type { Turns } from '../../../shared/kernel/turns.ts';
import type { Log } from '../../../shared/observe/log.ts';
import type { Metrics } from '../../../shared/observe/metrics.ts';
import type { Topology } from '../../../shared/topology/topology.ts';
import type { BrokerMetrics } from '../broker/broker.ts';
import type {
  ClusterQuarantine,
  ClusterReports,
  LeadershipView,
  Promote,
  RegionsView,
  RetireDisk,
  Verify,
} from '../cluster/cluster.ts';
import type { ConsoleFiles, Live } from '../console/console.ts';
import type { DrillLease, Drills } from '../drills/drills.ts';
import type { WriteForwarding } from '../forward/forward.ts';
import type { Journal, Journalist } from '../journal/journal.ts';
import type { Access, Scope } from '../keys/keys.ts';
import type { RegionLinks } from '../links/links.ts';
import type { Trace } from '../trace/trace.ts';
import { audited } from './audit.ts';
import { addClusterRoutes } from './cluster-routes.ts';
import { addConsoleRoutes } from './console-routes.ts';
import { answersCors, type CorsSettings } from './cors.ts';
import { addDocumentRoute } from './document-route.ts';
import { encodeAnswer } from './encode-answer.ts';
import { addHealthRoutes } from './health-routes.ts';
import { addLiveRoute } from './live-route.ts';
import { addMetricsRoutes } from './metrics-routes.ts';
import { addReadRoutes } from './read-routes.ts';
import { addWriteRoutes } from './write-routes.ts';

/** The parts of a router whose operations are routes. */
export interface RoutedParts {
  readonly leadership: LeadershipView;
  readonly regions: RegionsView;
  readonly reports: ClusterReports;
  readonly promote: Promote;
  readonly drills: Drills;
  readonly drillLease: DrillLease;
  readonly verify: Verify;
  readonly retireDisk: RetireDisk;
  readonly quarantine: ClusterQuarantine;
  readonly trace: Trace;
  readonly journal: Journal;
  readonly journalist: Journalist;
  readonly forwarding: WriteForwarding;
}

export interface RoutesOptions extends RoutedParts {
  /** Absent: turns are not watched. */
  readonly turns?: Turns | undefined;
  readonly access: Access;
  /** `/metrics` needs no key. */
  readonly openMetrics: boolean;
  /** Of what operators did. */
  readonly auditLog: Log;
  readonly topology: Topology;
  readonly links: RegionLinks;
  readonly metrics: Metrics;
  /** See `HealthRoutesOptions`. */
  readonly draining: () => boolean;
  /** Absent: there is no console. */
  readonly console?: { readonly files: ConsoleFiles; readonly live: Live } | undefined;
  /** Absent: there is no `/metrics/nats`. */
  readonly broker?: BrokerMetrics | undefined;
  readonly maxBodyBytes: number;
  readonly clock: Clock;
  /** Limit of all bodies together, bytes. */
  readonly maxBodiesBytes: number;
  /** Of one client address; 0: none. */
  readonly maxAddressBodiesBytes: number;
}

export type { CorsSettings };

/** What belongs to every answer of the public surface: the headers for other origins, and its coding. */
export function answering(cors: CorsSettings | undefined): Pick<HttpAppOptions, 'begin' | 'finish'> {
  return {
    begin: (request, response) => cors !== undefined && answersCors(request, response, cors),
    finish: encodeAnswer,
  };
}

export function addRoutes(app: Koa, options: RoutesOptions): void {
  const { access, openMetrics, auditLog, maxBodiesBytes, maxAddressBodiesBytes, metrics, console } = options;
  const budget = new BodyBudget({ limitBytes: maxBodiesBytes, addressLimitBytes: maxAddressBodiesBytes, metrics });
  /** Routes that need a scope; `open`: no key. */
  const group = (scope: Scope | 'open', add: (router: Router) => void): void => {
    const router = new Router();
    if (scope === 'admin') router.use(audited(auditLog));
    if (scope !== 'open') router.use(requires(access, scope));
    router.use(refuseParameters);
    add(router);
    app.use(router.routes());
  };
  group('write', (router) => addWriteRoutes(router, { ...options, budget }));
  group('read', (router) => {
    if (console !== undefined) router.use(counted(console.live));
    addReadRoutes(router, { ...options, budget });
  });
  group('admin', (router) => addClusterRoutes(router, options));
  if (console !== undefined) {
    const { live, files } = console;
    const mayRead = (ctx: Context): boolean => access.stillAllows(ctx, 'admin');
    group('admin', (router) => addLiveRoute(router, { live, mayRead }));
    group('open', (router) => addConsoleRoutes(router, files));
  }
  group('open', (router) => addHealthRoutes(router, options));
  group('open', addDocumentRoute);
  group(openMetrics ? 'open' : 'metrics', (router) => addMetricsRoutes(router, options));
  // What there is and what not is for clients with a key.
  const requiresAny = requires(access, undefined);
  app.use((ctx, next) => (routeOf(ctx) === undefined ? requiresAny(ctx, next) : next()));
}

function requires(access: Access, scope: Scope | undefined): Koa.Middleware {
  return (ctx, next) => {
    access.check(ctx, scope);
    return next();
  };
}

/** Reads that were answered. */
function counted(live: Live): Koa.Middleware {
  return async (ctx, next) => {
    await next();
    if (ctx.status < 400) live.countRead();
  };
}

/** Only reads take parameters: an ignored one would mislead the client. */
const refuseParameters: Koa.Middleware = async (ctx, next) => {
  const takesNone =
    (ctx.path.startsWith('/cluster/') && ctx.path !== '/cluster/events') ||
    ['POST', 'PATCH', 'DELETE'].includes(ctx.method);
  const [name] = takesNone ? [...new URLSearchParams(ctx.querystring).keys()] : [];
  if (name !== undefined) {
    const path = name.slice(0, 64);
    throw new Refusal('invalid_request', `${path} is not a parameter of ${ctx.method} ${ctx.path.slice(0, 100)}`, {
      hint: 'this route has no parameters; its fields are in the body',
      errors: [{ path, message: 'unknown parameter' }],
    });
  }
  await next();
};
