/** The answers of the operations on the cluster, and of health. */
import { writeRoutes } from '../../../shared/protocol/writes.ts';
import { array, count, flag, nullable, number, object, record, ref, type Schema, text } from './document.ts';

const time = (description?: string): Schema => text(description, { format: 'date-time' });
const names = (description?: string): Schema => array(text(), description === undefined ? {} : { description });
const region = text('The name of a region.');
const tookMs = count('Milliseconds.');

export const clusterSchemas: Readonly<Record<string, Schema>> = {
  RegionReport: object(
    {
      name: region,
      applied_events: nullable(count('Null, here and below: never known to this router.')),
      lag_events: nullable(count('Events of the leader that it lacks.')),
      partitioned: nullable(flag()),
      role: text(undefined, { enum: ['leader', 'follower'] }),
      reachable: flag(),
      ready: flag(),
      position: nullable(ref('Position')),
      offset: nullable(count('Of the stream.')),
      lag_seconds: nullable(number(undefined, { minimum: 0 })),
      ahead_events: nullable(count('Events that the leader lacks.')),
      unshipped_events: nullable(
        count('Events that it has accepted and no other region may have; null: not known yet.'),
      ),
      disk: nullable(text('The id of the disk that its log lies on.')),
      version: nullable(text('Of its program.')),
    },
    {
      heal_at: time('When the partition ends by itself, by the clock of the region.'),
      stopped: object(
        { code: text(), detail: text() },
        { origins: names() },
        'Why it accepts no further batches of some origins.',
      ),
      refused: object(
        { count: count(), reason: text(), origin: text(), detail: text() },
        {},
        'Messages of the stream that it refused in the last 30 s.',
      ),
    },
  ),
  AbsentDisk: object({
    disk: text(),
    region: text('The region that ran on it last.'),
    known_until: nullable(time('Everything accepted on it until then is known; null: unknown.')),
  }),
  StatusAnswer: object(
    {
      leader: nullable(text()),
      relay_log_len: count('Messages of the stream.'),
      regions: array(ref('RegionReport'), { description: 'In the order of the topology.' }),
      epoch: nullable(count()),
      stream: object({ connected: flag(), offset: count() }),
      failover: text(undefined, { enum: ['manual', 'automatic'] }),
      absent_disks: array(ref('AbsentDisk'), {
        description: 'Disks that no region runs on and that were not retired.',
      }),
      version: text('Of the program of this router.'),
    },
    {
      stale: {
        type: 'boolean',
        const: true,
        description: 'The leader does not answer: its numbers are the last known ones.',
      },
      handover: object({ to: region }, {}, 'A planned promotion is in progress.'),
      drill: ref('DrillInProgress', 'The drill that has the lease.'),
    },
  ),
  DrillInProgress: object({
    id: text(),
    title: text(),
    started_at: time(),
    expires_at: time('Unless it is extended before.'),
  }),
  EndDrillAnswer: object({ id: text() }),
  StopDrillAnswer: object({
    ended: nullable(object({ id: text(), title: text() }, {}, 'Null: no drill was in progress.')),
    healed: names('Regions that were partitioned.'),
    not_reached: names('Regions that do not answer: a partition of theirs ends at its deadline.'),
  }),
  PromoteAnswer: object(
    {
      leader: region,
      previous: region,
      epoch: count(),
      handed_over_events: count('Events that the new leader lacked when the handover began.'),
      took_ms: tookMs,
    },
    { left_behind: nullable(count('Forced only: events that the new leader lacks, as last known.')) },
  ),
  PartitionAnswer: object(
    { region, partitioned: { type: 'boolean', const: true } },
    { heal_at: time('When the region heals by itself, by its own clock.') },
  ),
  HealAnswer: object(
    {
      region,
      partitioned: { type: 'boolean', const: false },
      missed_events: count('On both sides together.'),
    },
    {
      caught_up_with: names('With `wait`: regions that have what the healed one had, and the other way round.'),
      not_waited_for: names('With `wait`: regions that are partitioned themselves or do not answer.'),
      took_ms: tookMs,
    },
  ),
  RetireDiskAnswer: object({
    disk: text(),
    region: nullable(text('The region that ran on it last.')),
    retired_by: names(),
    not_reached: names('Regions that learn of it from the others.'),
  }),
  VerifyAnswer: object(
    {
      converged: nullable(flag('True: all regions have the same state. False: two differ. Null: unknown.')),
      position: nullable(ref('Position', 'Of the comparison.')),
      digests: record(text(undefined, { pattern: '^[0-9a-f]{32}$' }), 'By region.'),
      took_ms: tookMs,
    },
    { reason: text('Why it is unknown, or which regions differ.') },
  ),
  TraceAnswer: object(
    {
      position: ref('Position', 'The last events of the write.'),
      regions: array(ref('TracedRegion'), { description: 'In the order of the topology.' }),
    },
    {
      writes: array(ref('TracedWrite'), {
        description: 'Of a key: where it was used. A duplicate in the log of another origin does not count.',
      }),
    },
  ),
  TracedWrite: object(
    {
      route: text(undefined, { enum: writeRoutes }),
      origin: text(),
      first: count('Its events are these of the origin.', { minimum: 1 }),
      last: count(undefined, { minimum: 1 }),
      accepted_at: text('Of the first of them.', { format: 'date-time' }),
    },
    { retraction: { type: 'boolean', const: true, description: 'They take back what was given under the key.' } },
  ),
  TracedRegion: object({
    name: text(),
    reachable: flag('Whether it answers.'),
    durable: nullable(flag('On its disk; null: unknown.')),
    applied: nullable(flag('In its answers; null: unknown.')),
    lacking_events: nullable(count('Events up to the position that it has not applied.')),
  }),
  QuarantineAnswer: object({
    origin: text(),
    sequence: count(),
    last: count(),
    regions: names('Where it is set aside now.'),
    not_reached: record(text(), 'By region in which it is not: why.'),
  }),
  ClusterLive: object({ past: ref('LivePast'), now: ref('LiveNow') }),
  LivePast: object(
    {
      at: array(time()),
      writes_per_second: array(number(undefined, { minimum: 0 })),
      reads_per_second: array(number(undefined, { minimum: 0 })),
      lag_events: record(array(nullable(count())), 'By region.'),
      lag_seconds: record(array(nullable(number(undefined, { minimum: 0 }))), 'By region.'),
    },
    {},
    'Columns of equal length, a sample every 2 s, the oldest first.',
  ),
  LiveNow: object({
    at: time('By the clock of this router.'),
    status: ref('StatusAnswer'),
    health: ref('HealthAnswer'),
    writes_per_second: number('Acknowledged by this router.', { minimum: 0 }),
    reads_per_second: number('Answered by this router.', { minimum: 0 }),
    newest_event: count('The id of the newest entry of the journal.'),
  }),
  JournalEntry: object(
    {
      id: count('Grows by one with each entry.', { minimum: 1 }),
      at: text('When a router recorded it.', { format: 'date-time' }),
      kind: text(
        '`leader_changed`, `partitioned`, `healed`, `region_started`, `merge_ended`, `disk_retired` or `event_set_aside`; later versions may have more.',
      ),
    },
    {
      region,
      previous: text('The former leader.'),
      epoch: count(),
      how: text('`automatic`: the former leader was unresponsive; `succession`: it was about to stop.', {
        enum: ['planned', 'forced', 'automatic', 'succession'],
      }),
      left_behind: nullable(count('Events of the former leader that the new one lacked; null: unknown.')),
      heal_at: text('When the partition ends by itself.', { format: 'date-time' }),
      version: text('Of the program that was started.'),
      what: text('The disk, or the range of events.'),
      key: nullable(text('The name of the key of the operator who asked for it.')),
      request_id: text(),
    },
  ),
  JournalAnswer: object(
    { events: array(ref('JournalEntry'), { description: 'The newest first.' }) },
    {
      stale: { type: 'boolean', const: true, description: 'The control bucket does not answer: as it was read last.' },
    },
  ),
  QuarantineList: object({
    regions: record(names(), 'By region: `origin:first-last`.'),
    same: nullable(flag('Whether all regions have set aside the same; null: not all have answered.')),
    not_reached: names(),
  }),
  HealthAnswer: object({
    status: text('`unavailable`: no region accepts writes.', { enum: ['ok', 'degraded', 'unavailable'] }),
    leader: nullable(text()),
    items: nullable(count('Live items of the leader.')),
    epoch: nullable(count()),
    regions: object({ total: count(), reachable: count(), ready: count() }),
    notes: names('What is wrong.'),
  }),
  LiveAnswer: object({ status: { type: 'string', const: 'live' } }),
  ReadyAnswer: object({
    status: text(undefined, { enum: ['ready', 'starting', 'draining'] }),
    leader: nullable(text()),
  }),
};
