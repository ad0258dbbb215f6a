/**
 * The account of disks: from which ones events may still arrive, and up to when everything that was accepted on each is known
 * here.
 *
 * A disk is learnt from its region's status, or from another region's account, and stays listed, across restarts, until an
 * operator retires it: a disk that no longer reports may hold a tail that no region has, and may be restored. A report counts
 * once everything its region had is applied here. Then everything accepted on that disk until the report is known here, and so is
 * everything that region knew of other disks. Retired disks and accounts spread with the reports.
 *
 * A retired disk that returns continues under a new id.
 */

import { Refusal } from '../../../shared/errors/errors.ts';
import { type Clock, type Random, randomName } from '../../../shared/kernel/kernel.ts';
import type { Log } from '../../../shared/observe/log.ts';
import type { Metrics } from '../../../shared/observe/metrics.ts';
import {
  DISK_ID_LENGTH,
  isDiskId,
  joinDisks,
  type KnownDisk,
  parseDisks,
} from '../../../shared/protocol/known-disks.ts';
import { covers, type Position } from '../../../shared/protocol/position.ts';
import type { Peers } from '../peers/peers.ts';
import { isStorageFull } from '../storage-fault/storage-fault.ts';
import type { Wal } from '../wal/wal.ts';
import type { Disks } from './checkpoint.ts';

export interface DiskAccountOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly region: string;
  /** The other regions of the topology. */
  readonly others: readonly string[];
  readonly wal: Pick<Wal, 'mark' | 'noteMark' | 'noted' | 'storeMark' | 'flushNotes'>;
  readonly peers: Pick<Peers, 'views' | 'onPolled'>;
  readonly applied: () => Position;
}

const UNREPORTED_MS = 86_400_000;

/** Number of disks without a report for a day. */
export function unreportedDisks(disks: readonly KnownDisk[], nowMs: number): number {
  return disks.filter(({ knownMs, retired }) => !retired && knownMs < nowMs - UNREPORTED_MS).length;
}

export function createDiskAccount(options: DiskAccountOptions): Disks {
  return new DiskAccount(options);
}

/** A report that is not applied here yet. */
interface Report {
  readonly durable: Position;
  readonly atMs: number;
  readonly disks: readonly KnownDisk[];
}

class DiskAccount implements Disks {
  private readonly options: DiskAccountOptions;
  private disks: readonly KnownDisk[];
  /** The oldest report of each disk that is not applied here: a busy region's newest one never would be. */
  private readonly waiting = new Map<string, Report>();
  /** A disk was reported that did not fit in the list. */
  private unlisted = false;

  constructor(options: DiskAccountOptions) {
    this.options = options;
    this.disks = this.others(parseDisks(options.wal.mark('disks')) ?? []);
    const { clock, metrics, peers } = options;
    metrics.gauge({
      name: 'tidal_disks',
      help: 'Disks of other regions in the account, retired ones included.',
      read: () => this.disks.length,
    });
    metrics.gauge({
      name: 'tidal_disks_unreported',
      help: 'Disks that were not retired, and of which nothing was known for a day: they hold back the forgetting of idempotency keys.',
      read: () => unreportedDisks(this.disks, clock.nowMs()),
    });
    peers.onPolled(() => this.look());
  }

  get own(): string | undefined {
    const { wal } = this.options;
    const id = wal.mark('disk');
    return isDiskId(id) && !wal.noted.has('disk') ? id : undefined;
  }

  get known(): readonly KnownDisk[] {
    return this.disks;
  }

  get knownMs(): number | undefined {
    const { others, clock } = this.options;
    const present = this.disks.filter(({ retired }) => !retired);
    if (this.unlisted || !others.every((name) => present.some(({ region }) => region === name))) return undefined;
    return Math.min(clock.nowMs(), ...present.map(({ knownMs }) => knownMs));
  }

  async store(): Promise<void> {
    const { wal } = this.options;
    wal.noteMark('disks', this.disks);
    await wal.flushNotes();
  }

  async retire(id: string): Promise<void> {
    const { region, wal, peers, log } = this.options;
    const reported = [...peers.views.values()].find(({ status, reachable }) => reachable && status.disk === id);
    const user = wal.mark('disk') === id ? region : reported?.status.region;
    if (user !== undefined) {
      throw new Refusal('disk_in_use', `${user} runs on the disk ${id}`, {
        hint: 'retire only a disk that will never be used again',
      });
    }
    const disk = this.disks.find((each) => each.id === id);
    if (disk === undefined) throw new Refusal('unknown_disk', `${region} knows no disk ${id}`);
    if (disk.retired) return;
    const after = this.disks.map((each) => (each === disk ? { ...disk, retired: true } : each));
    try {
      await wal.storeMark('disks', after);
    } catch (error) {
      if (!isStorageFull(error)) throw error;
      throw new Refusal('storage_full', `the disk of ${region} is full: it cannot store that ${id} was retired`);
    }
    log.info('disk retired', { disk: id, region: disk.region });
    this.learn([{ ...disk, retired: true }]);
  }

  private look(): void {
    const { peers, clock } = this.options;
    this.unlisted = false;
    for (const [region, { status, reachable }] of peers.views) {
      const durable = reachable ? status.durable : undefined;
      const disks = parseDisks(status.disks);
      const { disk } = status;
      if (durable === undefined || disks === undefined || !isDiskId(disk)) continue;
      this.learn([{ id: disk, region, knownMs: 0, retired: false }, ...disks.map((each) => ({ ...each, knownMs: 0 }))]);
      const before = this.waiting.get(disk);
      // A disk that has less than before was restored to an earlier state: its later events may never arrive.
      if (before !== undefined && covers(durable, before.durable)) continue;
      // A clock that is ahead must not cover events that are yet to be accepted.
      this.waiting.set(disk, { durable, atMs: Math.min(status.clockMs, clock.nowMs()), disks });
    }
    this.settle();
  }

  private settle(): void {
    const { applied } = this.options;
    for (const [id, { durable, atMs, disks }] of this.waiting) {
      const disk = this.disks.find((each) => each.id === id);
      const known = disk !== undefined && covers(applied(), durable);
      if (disk !== undefined && !disk.retired && !known) continue;
      this.waiting.delete(id);
      if (!known) continue;
      this.learn([
        { ...disk, knownMs: atMs },
        ...disks.map((each) => ({ ...each, knownMs: Math.min(each.knownMs, atMs) })),
      ]);
    }
  }

  /** This region's own disk is not in the list: everything accepted on it is known here. */
  private others(disks: readonly KnownDisk[]): readonly KnownDisk[] {
    const own = this.options.wal.mark('disk');
    return disks.filter(({ id }) => id !== own);
  }

  private learn(news: readonly KnownDisk[]): void {
    const { wal, log, random } = this.options;
    const own = wal.mark('disk');
    if (news.some(({ id, retired }) => retired && id === own)) {
      wal.noteMark('disk', randomName(random, DISK_ID_LENGTH));
      log.warn('disk was retired, continuing under a new disk id', {
        retired: String(own),
        disk: String(wal.mark('disk')),
      });
    }
    const before = this.disks;
    const { disks, left } = joinDisks(before, this.others(news));
    this.disks = disks;
    if (left > 0) this.unlisted = true;
    const same = ({ id, retired }: KnownDisk): boolean =>
      before.some((disk) => disk.id === id && disk.retired === retired);
    // These times are stored when records are removed by them; an older one only removes less.
    if (disks.length !== before.length || !disks.every(same)) wal.noteMark('disks', disks);
  }
}
