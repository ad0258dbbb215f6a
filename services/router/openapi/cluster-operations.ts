/** The operations on the cluster. */
import type { ProblemCode } from '../../../shared/errors/errors.ts';
import { DRILL_TITLE_LIMIT } from '../../../shared/leadership/leadership.ts';
import { QUARANTINE_RANGE_LIMIT } from '../../../shared/protocol/quarantine.ts';
import { JOURNAL_LIMIT } from '../journal/journal.ts';
import {
  closed,
  count,
  type Example,
  examplesOf,
  flag,
  type Operation,
  type Parameter,
  ref,
  type Schema,
  text,
} from './document.ts';
import { answerHeaders, requestId } from './parameters.ts';
import { refusals } from './problem-responses.ts';

const ofBodies: readonly ProblemCode[] = ['invalid_json', 'unknown_field', 'body_too_large', 'unsupported_media_type'];
const ofRegions: readonly ProblemCode[] = [
  'region_unreachable',
  'version_mismatch',
  'configuration_refused',
  'not_ready',
];
const sequence: Schema = { type: 'integer', minimum: 1, maximum: Number.MAX_SAFE_INTEGER };

interface Action {
  readonly id: string;
  readonly summary: string;
  readonly description?: string;
  readonly parameters?: readonly Parameter[];
  readonly fields?: Schema;
  readonly examples?: Readonly<Record<string, unknown>>;
  /** The body may be missing. */
  readonly optional?: boolean;
  readonly answer: string;
  readonly answers?: Readonly<Record<string, unknown>>;
  /** It is also sent as events to a client that accepts them. */
  readonly isStream?: boolean;
  readonly codes: readonly ProblemCode[];
  readonly repeatable?: Operation['x-repeatable'];
}

function action({
  id,
  summary,
  description,
  parameters = [],
  fields,
  examples = {},
  optional,
  answer,
  answers,
  isStream = false,
  codes,
  repeatable,
}: Action): Operation {
  const shown: Readonly<Record<string, Example>> | undefined = answers && examplesOf(answers);
  return {
    ...{ operationId: id, summary },
    ...(description === undefined ? {} : { description }),
    ...{ tags: ['cluster'], security: [{ key: ['admin'] }], parameters: [...parameters, requestId] },
    ...(fields === undefined
      ? {}
      : {
          requestBody: {
            required: optional !== true,
            content: { 'application/json': { schema: fields, examples: examplesOf(examples) } },
          },
        }),
    responses: {
      200: {
        description: 'Done.',
        headers: answerHeaders(...(isStream ? (['Cache-Control'] as const) : [])),
        content: {
          'application/json': { schema: ref(answer), ...(shown === undefined ? {} : { examples: shown }) },
          ...(isStream ? { 'text/event-stream': { schema: text() } } : {}),
        },
      },
      ...refusals('keyed', [...(fields === undefined ? [] : ofBodies), ...codes]),
    },
    'x-repeatable': repeatable ?? 'always',
  };
}

const region = text('The name of a region.');
const drillId = text('Drawn for each drill.', { pattern: '^[a-z2-7]{8,32}$' });

export const clusterOperations = {
  'GET /cluster/status': action({
    ...{
      id: 'getStatus',
      summary: 'The regions, their positions and lags, and who leads',
      answer: 'StatusAnswer',
      codes: [],
    },
  }),
  'GET /cluster/live': action({
    ...{ id: 'getLiveState', summary: 'Status, health, rates and lags, now and over the last 15 minutes' },
    description:
      'With `Accept: text/event-stream` a stream (HTML, server-sent events): `past` once, then `now` every 2 s; the data of each is that member of the answer.',
    ...{ answer: 'ClusterLive', isStream: true, codes: ['shutting_down'] },
  }),
  'GET /cluster/events': action({
    ...{ id: 'getEvents', summary: 'The journal: leaders, partitions, starts of regions, merges' },
    parameters: [
      {
        ...{ name: 'limit', in: 'query', description: 'At most so many entries, the newest.' },
        schema: count(undefined, { minimum: 1, maximum: JOURNAL_LIMIT, default: 50 }),
      },
      {
        ...{ name: 'after', in: 'query', description: 'Only entries with a higher id.' },
        schema: count(undefined, { maximum: 999_999_999_999_999, default: 0 }),
      },
    ],
    answer: 'JournalAnswer',
    codes: [],
  }),
  'POST /cluster/promote': action({
    ...{ id: 'promote', summary: 'Makes a region the leader', answer: 'PromoteAnswer', repeatable: 'never' },
    description: 'Waits for the handover. Promoting the leader changes nothing.',
    fields: closed(
      { region },
      {
        force: flag('Without the former leader: its last events may be unknown to the new one, and are merged later.'),
      },
    ),
    examples: { planned: { region: 'eu-west' }, forced: { region: 'us-east', force: true } },
    codes: [
      'unknown_region',
      'promotion_in_progress',
      'target_partitioned',
      'target_unreachable',
      'target_not_ready',
      'leader_partitioned',
      'leader_unreachable',
      'stale_epoch',
      'no_leader',
      'not_leader',
      'handing_over',
      'control_unavailable',
      'storage_full',
      'handover_timeout',
      'outcome_unknown',
      ...ofRegions,
    ],
  }),
  'POST /cluster/partition': action({
    ...{ id: 'partition', summary: 'Partitions a region', answer: 'PartitionAnswer' },
    description: 'Idempotent; the last request decides: without `heal_after` an earlier deadline is removed.',
    fields: closed(
      { region },
      {
        heal_after: {
          description: 'Seconds, or a text such as `30s`, `5m`, `2h`; at most 24 h. The region heals itself then.',
          anyOf: [
            { type: 'number', exclusiveMinimum: 0, maximum: 86_400 },
            { type: 'string', pattern: '^[1-9][0-9]{0,8}[smhd]$' },
          ],
        },
      },
    ),
    examples: {
      until_healed: { region: 'ap-south' },
      seconds: { region: 'ap-south', heal_after: 90.5 },
      text: { region: 'ap-south', heal_after: '5m' },
    },
    codes: ['unknown_region', 'storage_full', 'outcome_unknown', ...ofRegions],
  }),
  'POST /cluster/heal': action({
    ...{ id: 'heal', summary: 'Ends the partition of a region', description: 'Idempotent.', answer: 'HealAnswer' },
    fields: closed({ region }, { wait: flag('Answers when both sides have what the other had, at most 30 s later.') }),
    examples: { at_once: { region: 'ap-south' }, waiting: { region: 'ap-south', wait: true } },
    codes: ['unknown_region', 'storage_full', 'position_not_reached', 'outcome_unknown', ...ofRegions],
  }),
  'POST /cluster/drill': action({
    ...{
      id: 'holdDrill',
      summary: 'Takes or extends the lease of drills, of one at a time',
      answer: 'DrillInProgress',
    },
    description: 'For 30 s. The program that runs a drill extends it every few seconds.',
    fields: closed({ id: drillId, title: text('On one line.', { minLength: 1, maxLength: DRILL_TITLE_LIMIT }) }),
    examples: { one: { id: 'k3qv5m2xw7abc', title: 'A follower is partitioned' } },
    codes: ['drill_in_progress', 'drill_ended', 'control_unavailable'],
  }),
  'POST /cluster/drill/end': action({
    ...{ id: 'endDrill', summary: 'Ends the lease of one drill', description: 'Idempotent.', answer: 'EndDrillAnswer' },
    fields: closed({ id: drillId }),
    examples: { one: { id: 'k3qv5m2xw7abc' } },
    codes: ['control_unavailable'],
  }),
  'POST /cluster/drill/stop': action({
    ...{ id: 'stopDrill', summary: 'Heals every region, and ends the lease of any drill', answer: 'StopDrillAnswer' },
    description: 'Idempotent. The program that runs the drill learns of it and undoes the rest.',
    optional: true,
    fields: closed({}),
    examples: { empty: {} },
    codes: ['control_unavailable'],
  }),
  'POST /cluster/retire-disk': action({
    ...{
      id: 'retireDisk',
      summary: 'Declares that a disk will not return',
      description: 'Idempotent.',
      answer: 'RetireDiskAnswer',
    },
    fields: closed({ disk: text('As `absent_disks` names it.', { pattern: '^[a-z2-7]{10,32}$' }) }),
    examples: { one: { disk: 'k3qv5m2xw7abcdef' } },
    answers: {
      one: {
        disk: 'k3qv5m2xw7abcdef',
        region: 'ap-south',
        retired_by: ['us-east', 'eu-west'],
        not_reached: ['ap-south'],
      },
    },
    codes: ['unknown_disk', 'disk_in_use', 'storage_full', ...ofRegions],
  }),
  'POST /cluster/verify': action({
    ...{
      id: 'verify',
      summary: 'Compares the state of all regions, bit for bit',
      answer: 'VerifyAnswer',
      optional: true,
    },
    fields: closed({}),
    examples: { empty: {} },
    codes: ofRegions,
  }),
  'POST /cluster/trace': action({
    ...{ id: 'trace', summary: 'Where a write is: in which regions', answer: 'TraceAnswer' },
    description:
      'Changes nothing. One of the fields. Request ids are known to the router that accepted the write, for its newest 10,000.',
    fields: closed(
      {},
      {
        position: text('As a write or a read returned it.', { minLength: 1 }),
        key: text('The `Idempotency-Key` of a write.', { pattern: '^[!-~]{1,255}$' }),
        request_id: text('The `x-request-id` of a write.', { minLength: 1 }),
      },
    ),
    examples: {
      position: { position: 'us-east@k3qv5m2xw7abc:125' },
      key: { key: 'order-17' },
      request: { request_id: '5f2c7c0e' },
    },
    answers: {
      key: {
        position: 'us-east@k3qv5m2xw7abc:125',
        writes: [
          {
            ...{ route: 'signals', origin: 'us-east@k3qv5m2xw7abc', first: 125, last: 125 },
            accepted_at: '2026-01-15T10:00:00.000Z',
          },
        ],
        regions: [
          { name: 'us-east', reachable: true, durable: true, applied: true, lacking_events: 0 },
          { name: 'eu-west', reachable: true, durable: false, applied: false, lacking_events: 12 },
          { name: 'ap-south', reachable: false, durable: null, applied: null, lacking_events: null },
        ],
      },
    },
    codes: ['unknown_event'],
  }),
  'GET /cluster/quarantine': action({
    ...{ id: 'getQuarantine', summary: 'The events that are set aside', answer: 'QuarantineList', codes: [] },
  }),
  'POST /cluster/quarantine': action({
    ...{ id: 'addQuarantine', summary: 'Sets aside events that no region can apply', answer: 'QuarantineAnswer' },
    description: `Idempotent; a repeated request does what is left. At most ${QUARANTINE_RANGE_LIMIT} events.`,
    fields: closed(
      { origin: text(undefined, { pattern: '^[a-z0-9-]{1,32}@[a-z2-7]{10,32}$' }), sequence },
      { last: { ...sequence, description: 'All from `sequence` to this; without it one.' } },
    ),
    examples: {
      one: { origin: 'us-east@k3qv5m2xw7abc', sequence: 125 },
      several: { origin: 'us-east@k3qv5m2xw7abc', sequence: 125, last: 130 },
    },
    answers: {
      one: {
        origin: 'us-east@k3qv5m2xw7abc',
        sequence: 125,
        last: 125,
        regions: ['us-east', 'eu-west'],
        not_reached: { 'ap-south': 'it does not answer' },
      },
    },
    codes: ['unknown_region', 'unknown_event', 'event_applied', 'storage_full', 'quarantine_full', ...ofRegions],
  }),
} as const satisfies Readonly<Record<string, Operation>>;
