/** The cluster routes: status, promotion, drills. */
import type { Router } from '@koa/router';
import type { Context } from 'koa';
import { parseDurationSeconds } from '../../../shared/config/duration.ts';
import { Refusal } from '../../../shared/errors/errors.ts';
import { decodeText, readBody, requireType } from '../../../shared/http/http-body.ts';
import { requestIdOf } from '../../../shared/http/http-server.ts';
import { parseJson } from '../../../shared/http/json-text.ts';
import { keyNameOf } from '../../../shared/http/request-log.ts';
import { DRILL_TITLE_LIMIT, isDrillId, isDrillTitle } from '../../../shared/leadership/leadership.ts';
import { HEAL_AFTER_LIMIT_MS } from '../../../shared/protocol/internal.ts';
import { isDiskId } from '../../../shared/protocol/known-disks.ts';
import { regionOf } from '../../../shared/protocol/position.ts';
import { rangeOf } from '../../../shared/protocol/quarantine.ts';
import type { Topology } from '../../../shared/topology/topology.ts';
import type { ClusterQuarantine, ClusterReports, Promote, RetireDisk, Verify } from '../cluster/cluster.ts';
import { DRILL_EXPIRES_MS, type DrillLease, type Drills } from '../drills/drills.ts';
import {
  type Asked,
  JOURNAL_LIMIT,
  JOURNAL_TEXT_LIMIT,
  type Journal,
  type Journalist,
  type JournalRequest,
  journalParameters,
} from '../journal/journal.ts';
import { bodyFieldsOf, type OperationName } from '../openapi/openapi.ts';
import type { Trace } from '../trace/trace.ts';
import { noteFields } from './audit.ts';
import { unknownRegion } from './region-name.ts';

/** Limit of bodies, which have little more than a region's name. */
const BODY_LIMIT_BYTES = 16 * 1024;

export interface ClusterRoutesOptions {
  readonly journal: Journal;
  readonly journalist: Journalist;
  readonly topology: Topology;
  readonly reports: ClusterReports;
  readonly promote: Promote;
  readonly drills: Drills;
  readonly drillLease: DrillLease;
  readonly verify: Verify;
  readonly retireDisk: RetireDisk;
  readonly quarantine: ClusterQuarantine;
  readonly trace: Trace;
}

export function addClusterRoutes(
  router: Router,
  {
    topology,
    reports,
    promote,
    drills,
    drillLease,
    verify,
    retireDisk,
    quarantine,
    trace,
    journal,
    journalist,
  }: ClusterRoutesOptions,
): void {
  const regionIn = (fields: Readonly<Record<string, unknown>>): string => {
    const { region } = fields;
    if (typeof region !== 'string') throw invalid('region', 'must be the name of a region');
    if (!topology.regions.some(({ name }) => name === region)) throw unknownRegion(region, topology);
    return region;
  };

  router.get('/cluster/status', async (ctx) => {
    const [status, drill] = await Promise.all([reports.status(), drillLease.current()]);
    ctx.body = drill === undefined ? status : { ...status, drill };
  });
  router.get('/cluster/events', async (ctx) => {
    ctx.body = await journal.list(journalRequestOf(ctx));
  });
  router.post('/cluster/promote', async (ctx) => {
    const fields = await fieldsOf(ctx, 'POST /cluster/promote');
    const { force = false } = fields;
    if (typeof force !== 'boolean') throw invalid('force', 'must be true or false');
    waits(ctx);
    const answer = await promote({ region: regionIn(fields), force });
    journalist.promoted(answer, force ? 'forced' : 'planned', askedOf(ctx));
    ctx.body = answer;
  });
  router.post('/cluster/partition', async (ctx) => {
    const fields = await fieldsOf(ctx, 'POST /cluster/partition');
    const answer = await drills.partition(regionIn(fields), healAfterMsOf(fields.heal_after));
    journalist.switched(answer.region, 'partitioned', askedOf(ctx));
    ctx.body = answer;
  });
  router.post('/cluster/heal', async (ctx) => {
    const fields = await fieldsOf(ctx, 'POST /cluster/heal');
    const { wait = false } = fields;
    if (typeof wait !== 'boolean') throw invalid('wait', 'must be true or false');
    if (wait) waits(ctx);
    const answer = await drills.heal(regionIn(fields), wait);
    journalist.switched(answer.region, 'healed', askedOf(ctx));
    ctx.body = answer;
  });
  router.post('/cluster/drill', async (ctx) => {
    const { id, title } = await fieldsOf(ctx, 'POST /cluster/drill');
    if (!isDrillTitle(title))
      throw invalid('title', `must be a text of 1 to ${DRILL_TITLE_LIMIT} characters on one line`);
    const drill = await drillLease.hold({ id: drillIdOf(id), title });
    // Every few seconds of a drill: no action of an operator.
    ctx.state.isRoutine = Date.parse(drill.expires_at) - Date.parse(drill.started_at) > DRILL_EXPIRES_MS;
    ctx.body = drill;
  });
  router.post('/cluster/drill/end', async (ctx) => {
    const { id } = await fieldsOf(ctx, 'POST /cluster/drill/end');
    await drillLease.end(drillIdOf(id));
    ctx.body = { id };
  });
  router.post('/cluster/drill/stop', async (ctx) => {
    // The body may be empty.
    if (ctx.request.length !== 0 && ctx.get('content-type') !== '') await fieldsOf(ctx, 'POST /cluster/drill/stop');
    const answer = await drillLease.stop();
    for (const region of answer.healed) journalist.switched(region, 'healed', askedOf(ctx));
    ctx.body = answer;
  });
  router.post('/cluster/retire-disk', async (ctx) => {
    const { disk } = await fieldsOf(ctx, 'POST /cluster/retire-disk');
    if (!isDiskId(disk)) throw invalid('disk', 'must be the id of a disk, as absent_disks in /cluster/status names it');
    ctx.body = await retireDisk(disk);
    journalist.acted('disk_retired', disk, askedOf(ctx));
  });
  router.get('/cluster/quarantine', async (ctx) => {
    ctx.body = await quarantine.list();
  });
  router.post('/cluster/quarantine', async (ctx) => {
    const { origin, sequence, last } = await fieldsOf(ctx, 'POST /cluster/quarantine');
    const range = rangeOf({ origin, first: sequence, ...(last === undefined ? {} : { last }) });
    const opener = regionOf(range.origin);
    const known = [...topology.regions.map(({ name }) => name), ...(topology.formerRegions ?? [])];
    if (!known.includes(opener)) throw unknownRegion(opener, topology);
    ctx.body = await quarantine.add(range);
    const what = `${range.origin}:${range.first}-${range.last}`;
    journalist.acted('event_set_aside', what, askedOf(ctx));
  });
  router.post('/cluster/trace', async (ctx) => {
    const fields = await fieldsOf(ctx, 'POST /cluster/trace');
    // It changes nothing.
    ctx.state.isRoutine = true;
    const given = Object.entries(fields);
    const [[name, value] = ['position', undefined]] = given;
    if (given.length !== 1) throw invalid(name, 'must be given alone: one of position, key and request_id');
    if (typeof value !== 'string') throw invalid(name, 'must be a text');
    ctx.body = await trace.find({ [name]: value });
  });
  router.post('/cluster/verify', async (ctx) => {
    // The body may be empty.
    if (ctx.request.length !== 0 && ctx.get('content-type') !== '') await fieldsOf(ctx, 'POST /cluster/verify');
    ctx.body = await verify();
  });
}

/** It may take long: a slow one causes no warning. */
function waits(ctx: Context): void {
  ctx.state.waits = true;
}

/** Of the body of this operation: those that the document has. */
async function fieldsOf(ctx: Context, operation: OperationName): Promise<Readonly<Record<string, unknown>>> {
  const known = bodyFieldsOf(operation);
  requireType(ctx, ['application/json']);
  const value = parseJson(decodeText(await readBody(ctx, BODY_LIMIT_BYTES)));
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid('', 'must be a JSON object');
  for (const name of Object.keys(value)) {
    if (known.includes(name)) continue;
    const path = name.slice(0, 64);
    throw new Refusal('unknown_field', `${path} is not a field of ${ctx.path}`, {
      hint: known.length === 0 ? 'it has no fields' : `accepted fields: ${known.join(', ')}`,
      errors: [{ path, message: 'unknown field' }],
    });
  }
  const fields = value as Readonly<Record<string, unknown>>;
  noteFields(ctx, fields);
  return fields;
}

/** Who asked, for the journal. */
function askedOf(ctx: Context): Asked {
  return { key: keyNameOf(ctx) ?? null, request_id: requestIdOf(ctx).slice(0, JOURNAL_TEXT_LIMIT) };
}

function journalRequestOf(ctx: Context): JournalRequest {
  const parameters = new URLSearchParams(ctx.querystring);
  for (const name of new Set(parameters.keys())) {
    const isKnown = journalParameters.some((known) => known === name);
    if (!isKnown) throw invalid(name.slice(0, 64), `is not a parameter: ${journalParameters.join(', ')}`);
    if (parameters.getAll(name).length > 1) throw invalid(name, 'must be given once');
  }
  const whole = (name: string, fallback: number, least: number, most: number): number => {
    const text = parameters.get(name) ?? String(fallback);
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    throw invalid(name, `must be a whole number from ${least} to ${most}`);
  };
  return {
    limit: whole('limit', 50, 1, JOURNAL_LIMIT),
    after: whole('after', 0, 0, 999_999_999_999_999),
  };
}

function drillIdOf(value: unknown): string {
  if (isDrillId(value)) return value;
  throw invalid('id', 'must be 8 to 32 of the characters a-z and 2-7, drawn by the program that runs the drill');
}

/** Milliseconds; undefined if omitted. */
function healAfterMsOf(value: unknown): number | undefined {
  if (value === undefined) return undefined;
  const seconds = typeof value === 'string' ? parseDurationSeconds(value) : value;
  const ms = typeof seconds === 'number' ? Math.ceil(seconds * 1_000) : Number.NaN;
  if (ms > 0 && ms <= HEAL_AFTER_LIMIT_MS) return ms;
  throw invalid('heal_after', 'must be seconds as a number, or a text such as 30s, 5m or 2h; above 0, at most 24h');
}

function invalid(path: string, message: string): Refusal {
  return new Refusal('invalid_request', `${path === '' ? 'the body' : path} ${message}`, {
    errors: [{ path, message }],
  });
}
