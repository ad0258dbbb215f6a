/**
 * The region's HTTP surface: the internal API of `shared/protocol/internal.ts`, the public reads, health and metrics.
 * It parses, asks one part, and words the answer; it decides nothing.
 */
import type { BodyBudget } from '../../../shared/http/body-budget.ts';
import type { DigestReply, DigestsReply, RegionStatus, RouterClock } from '../../../shared/protocol/internal.ts';
import type { QuarantinedRange } from '../../../shared/protocol/quarantine.ts';
import type { Apply } from '../apply/apply.ts';
import type { Intake } from '../intake/intake.ts';
import type { Role } from '../leadership/leadership.ts';
import type { Cursors } from '../pages/pages.ts';
import type { Rank } from '../rank/rank.ts';
import type { Search } from '../search/search.ts';
import type { SnapshotServer } from '../snapshot/snapshot.ts';
import type { Catalog } from '../state/catalog/catalog.ts';
import type { Entities } from '../state/entities/entities.ts';
import type { FilterIndex } from '../state/filter-index/filter-index.ts';
import type { TextIndex } from '../state/text/text.ts';
import type { Wal } from '../wal/wal.ts';

/** What the routes need of the region. */
export interface RegionSurface {
  readonly region: string;
  readonly intake: Intake;
  readonly role: Role;
  readonly apply: Apply;
  readonly wal: Wal;
  readonly entities: Entities;
  readonly catalog: Catalog;
  readonly filterIndex: FilterIndex;
  readonly text: TextIndex;
  readonly rank: Rank;
  readonly search: Search;
  readonly cursors: Cursors;
  readonly snapshots: SnapshotServer;
  readonly maxBodyBytes: number;
  /** Of all bodies in memory together. */
  readonly bodies: BodyBudget;
  ready(): boolean;
  /** About to stop. */
  draining(): boolean;
  /** How far filters and search know the items: a while after a start with many not all. */
  readonly indexing: { readonly complete: boolean; readonly indexed: number; readonly failed: string | undefined };
  partitioned(): boolean;
  retireDisk(id: string): Promise<void>;
  setPartitioned(partitioned: boolean, healAfterMs: number | undefined): Promise<void>;
  status(): RegionStatus;
  /** Puts events that cannot be applied into the quarantine. */
  setAside(range: QuarantinedRange): Promise<void>;
  /** True once everything the stream holds now was handled; false after `limitMs`. */
  drain(limitMs: number): Promise<boolean>;
  /** Counts everything anew, at once. */
  digest(): DigestReply;
  /** Keeps the digest at every position from now on, for a while. */
  digests(): DigestsReply;
  /** Events the leader has and this region lacks, as last heard; undefined while the leader was never heard. */
  lagEvents(): number | undefined;
  /** The moment reads are answered for, epoch ms. */
  nowMs(): number;
  /** A router told what time it is there. */
  onRouterClock(heard: RouterClock): void;
}

/** What every read answers besides its result. */
export interface ReadContext {
  readonly region: string;
  readonly position: string;
  readonly lag_events: number | null;
  /** RFC 3339. */
  readonly at: string;
}
