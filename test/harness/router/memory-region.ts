/**
 * A region in memory behind the router's link: accepts by the record in a control key, gives sequences, and lets its
 * followers have what it has. Faults are switched on per region.
 */

import type { RegionLink } from '../../../services/router/links/links.ts';
import { Fault, Refusal } from '../../../shared/errors/errors.ts';
import type { Clock } from '../../../shared/kernel/kernel.ts';
import type { Leadership } from '../../../shared/leadership/leadership.ts';
import type {
  KeyRunsReply,
  PartitionRequest,
  RegionStatus,
  RetireDiskRequest,
  WriteAccepted,
  WriteRefused,
  WritesReply,
  WritesRequest,
} from '../../../shared/protocol/internal.ts';
import type { KnownDisk } from '../../../shared/protocol/known-disks.ts';
import { unpackSignals } from '../../../shared/protocol/packed-signals.ts';
import { covers, formatPosition, merge, type Position } from '../../../shared/protocol/position.ts';
import { Quarantine, type QuarantinedRange } from '../../../shared/protocol/quarantine.ts';
import type { WireWrite } from '../../../shared/protocol/writes.ts';
import { readDigestCount } from '../../../shared/region-client/read-answers.ts';
import type {
  AwaitedPosition,
  AwaitOutcome,
  DigestCount,
  ReadAnswer,
  ReadRequest,
} from '../../../shared/region-client/region-client.ts';
import { type ReportedStatus, readStatus } from '../../../shared/region-client/reported-status.ts';
import { wireSignals } from '../clients/wire-signals.ts';
import type { MemoryControl } from '../stream/memory-control.ts';

const names = new Set(['us-east', 'eu-west', 'ap-south']);

/** `answer_lost`: writes are taken, their answer never arrives; everything else is as `no_answer`. */
export type LinkState = 'up' | 'not_sent' | 'no_answer' | 'timed_out' | 'answer_lost';

export interface MemoryRegionOptions {
  readonly region: string;
  readonly control: MemoryControl;
  /** Its clock stands at 0 without one. */
  readonly clock?: Clock;
}

export class MemoryRegion implements RegionLink {
  readonly region: string;
  readonly requests: WritesRequest[] = [];
  readonly taken: WireWrite[] = [];
  private readonly keyed = new Map<string, WriteAccepted>();
  readonly reads: ReadRequest[] = [];
  calls = 0;
  drains = 0;
  quarantined = new Quarantine();
  /** What it holds and has not applied. */
  unapplied: Position = new Map();
  /** Refuses where the test says so. */
  setAside = (range: QuarantinedRange): void => {
    this.quarantined = this.quarantined.with(range);
  };
  /** Why it would refuse writes. */
  writeBlocker: { readonly code: string; readonly detail: string } | undefined;
  /** More that its status says. */
  said: Pick<RegionStatus, 'refusedValues' | 'streamSettings' | 'failedIndexes' | 'startedMs'> = {};
  /** Why it refuses writes although it leads. */
  refuses: { readonly code: string; readonly detail: string } | undefined;
  newestEpoch: { readonly epoch: number; readonly events: number } | undefined;
  state: LinkState = 'up';
  ready = true;
  isCut = false;
  /** It is about to stop. */
  draining = false;
  /** Of the last partition request that gave one. */
  healAtMs: number | undefined;
  schemaHash = '0';
  signals: readonly string[] = ['view'];
  /** By its id: what a count covers, and the position at which it began. */
  private readonly counts = new Map<string, { readonly covering: Position; position?: string }>();
  counting = false;
  /** The digest of a position: the same in every region that is as it should be. */
  digestOf: (position: string) => string = (position) => `digest of ${position}`;
  disk: string | undefined;
  /** By key id. */
  readonly runsByKey = new Map<string, KeyRunsReply['runs'][number]>();
  /** What it knows of other disks. */
  disks: readonly KnownDisk[] = [];
  items = 0;
  newestMs = 0;
  streamConnected = true;
  /** Where this region takes what it lacks from; empty: it does not catch up. */
  peers: MemoryRegion[] = [];
  /** Answers of `writes` wait for it. */
  barrier: Promise<void> = Promise.resolve();
  /** Runs when a handover is asked for, before the answer. */
  onHandover: () => void = () => {};
  readAnswer: ReadAnswer = { status: 200, headers: { 'content-type': 'application/json' }, body: Buffer.from('{}') };
  remembered: Leadership | undefined;
  position: Position = new Map();
  private readonly control: MemoryControl;
  private readonly clock: Clock | undefined;

  constructor({ region, control, clock }: MemoryRegionOptions) {
    this.clock = clock;
    this.region = region;
    this.control = control;
  }

  async writes(request: WritesRequest): Promise<WritesReply> {
    this.requests.push(request);
    const lost = this.state === 'answer_lost';
    if (!lost) this.reach();
    await this.barrier;
    const reply = this.answer(request);
    if (lost) throw new Fault('no_answer', `the answer of ${this.region} is lost`);
    return reply;
  }

  private answer(request: WritesRequest): WritesReply {
    this.refreshRecord();
    const record = this.remembered;
    if (record?.leader !== this.region) throw new Refusal('not_leader', `${this.region} is not the leader`);
    if (request.epoch < record.epoch) throw new Refusal('stale_epoch', `the epoch is ${record.epoch}`);
    if (record.handover !== undefined) throw new Refusal('handing_over', `to ${record.handover.to}`);
    const writes = request.signals === undefined ? request.writes : wireSignals(unpackSignals(request.signals));
    const bad = writes.findIndex((write) => write.k === 's' && write.s === 'unknown');
    const refused = (index: number): WriteRefused => ({
      problem: new Refusal('unknown_signal', 'no such signal').toProblem(),
      index,
    });
    if (request.atomic && bad >= 0) return { results: [refused(bad)] };
    const results: (WriteAccepted | WriteRefused)[] = writes.map((write) =>
      write.k === 's' && write.s === 'unknown' ? { problem: refused(0).problem } : this.accept(write),
    );
    return { results: request.atomic ? results.slice(-1) : results };
  }

  /** One event under this region's own origin. */
  accept(write: WireWrite): WriteAccepted {
    const key = write.key?.join();
    const before = key === undefined ? undefined : this.keyed.get(key);
    if (before !== undefined) return { ...before, replayed: true };
    const accepted = this.acceptNew(write);
    if (key !== undefined) this.keyed.set(key, accepted);
    return accepted;
  }

  private acceptNew(write: WireWrite): WriteAccepted {
    const origin = `${this.region}@${'a'.repeat(10)}`;
    const sequence = (this.position.get(origin) ?? 0) + 1;
    this.position = new Map([...this.position, [origin, sequence]]);
    this.taken.push(write);
    return { position: `${origin}:${sequence}`, durability: 'stream' };
  }

  async status(): Promise<ReportedStatus> {
    this.reach();
    this.catchUp();
    return readStatus(this.region, this.report());
  }

  /** Its status as sent. */
  private report(): RegionStatus {
    const position = formatPosition(this.position);
    const known = this.remembered ?? this.recordInKey();
    return {
      region: this.region,
      role: this.remembered?.leader === this.region ? 'leader' : 'follower',
      ready: this.ready,
      ...(known === undefined ? {} : { leadership: known }),
      ...(this.refuses === undefined ? {} : { refuses: this.refuses }),
      ...this.said,
      partitioned: this.isCut,
      ...(this.healAtMs === undefined ? {} : { healAtMs: this.healAtMs }),
      durable: formatPosition(merge(this.position, this.unapplied)),
      applied: position,
      offset: 5,
      streamConnected: this.streamConnected,
      unshipped: 0,
      items: this.items,
      clockMs: this.clock?.nowMs() ?? 0,
      newestMs: this.newestMs,
      ...(this.draining ? { draining: true as const } : {}),
      ...(this.writeBlocker === undefined ? {} : { writeBlocker: this.writeBlocker }),
      ...(this.newestEpoch === undefined ? {} : { newestEpoch: this.newestEpoch }),
      ...(this.disk === undefined ? {} : { disk: this.disk }),
      disks: this.disks,
      ...(this.quarantined.text === '' ? {} : { quarantined: this.quarantined.text }),
      schemaHash: this.schemaHash,
      signals: this.signals,
    };
  }

  refreshLeadership(): Promise<ReportedStatus> {
    this.refreshRecord();
    return this.status();
  }

  async handover(): Promise<Position> {
    this.reach();
    this.onHandover();
    this.refreshRecord();
    return this.position;
  }

  async await({ position }: AwaitedPosition): Promise<AwaitOutcome> {
    this.reach();
    this.catchUp();
    return { reached: covers(this.position, position), applied: this.position };
  }

  setPartitioned({ partitioned: cut, healAfterMs }: PartitionRequest): Promise<ReportedStatus> {
    this.reach();
    this.isCut = cut;
    this.healAtMs = cut ? healAfterMs : undefined;
    return this.status();
  }

  async retireDisk({ disk }: RetireDiskRequest): Promise<ReportedStatus> {
    this.reach();
    if (!this.disks.some(({ id }) => id === disk)) throw new Refusal('unknown_disk', `${this.region} knows of none`);
    this.disks = this.disks.map((each) => (each.id === disk ? { ...each, retired: true } : each));
    return this.status();
  }

  async drain(): Promise<boolean> {
    this.reach();
    this.drains += 1;
    this.catchUp();
    return this.peers.length > 0;
  }

  async countDigest({ id, covering }: { id: string; covering: Position }): Promise<DigestCount> {
    this.reach();
    this.catchUp();
    const applied = formatPosition(this.position);
    const known = this.counts.get(id);
    if (known === undefined || formatPosition(known.covering) !== formatPosition(covering)) {
      this.counts.set(id, { covering });
    }
    this.passed();
    const { position } = this.counts.get(id)!;
    return readDigestCount(this.region, {
      ...{ region: this.region, schemaHash: this.schemaHash, quarantined: this.quarantined.text, applied },
      ...(position === undefined ? {} : { position }),
      ...(position === undefined || this.counting ? {} : { digest: this.digestOf(position) }),
    });
  }

  /** Begins the counts that the present position covers. */
  passed(): void {
    for (const count of this.counts.values()) {
      if (covers(this.position, count.covering)) count.position ??= formatPosition(this.position);
    }
  }

  async quarantine(range: QuarantinedRange): Promise<void> {
    this.reach();
    this.setAside(range);
  }

  async keyRuns(ids: readonly string[]): Promise<KeyRunsReply['runs']> {
    this.reach();
    return ids.map((id) => this.runsByKey.get(id) ?? []);
  }

  async read(request: ReadRequest): Promise<ReadAnswer> {
    this.reach();
    const { unwanted: _, reserve: __, ...asked } = request;
    this.reads.push(asked);
    return this.readAnswer;
  }

  async close(): Promise<void> {}

  private refreshRecord(): void {
    this.remembered = this.recordInKey() ?? this.remembered;
  }

  private recordInKey(): Leadership | undefined {
    const record = (this.control.away ? undefined : this.control.entry?.value) as Leadership | undefined;
    const sound =
      names.has(record?.leader ?? '') && Number.isInteger(record?.epoch) && (record?.epoch ?? 0) < 3_000_000;
    return sound ? record : undefined;
  }

  private catchUp(): void {
    if (this.isCut) return;
    for (const peer of this.peers) if (!peer.isCut) this.position = merge(this.position, peer.position);
  }

  private reach(): void {
    this.calls += 1;
    if (this.state === 'up') return;
    throw new Fault(this.state === 'answer_lost' ? 'no_answer' : this.state, `${this.region} is ${this.state}`);
  }
}
