/**
 * The region's HTTP surface: the internal API of `shared/protocol/internal.ts`, the public reads, health and metrics. It parses a
 * request, calls one part, and writes the answer; it decides nothing.
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

/** The parts of the region that the routes use. */
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
  /** Limit of all bodies in memory together, bytes. */
  readonly bodies: BodyBudget;
  ready(): boolean;
  /** True if this region is about to stop. */
  draining(): boolean;
  /** Progress of filters and search with indexing the items: not complete for some seconds after a start with many. */
  readonly indexing: { readonly complete: boolean; readonly indexed: number; readonly failed: string | undefined };
  partitioned(): boolean;
  retireDisk(id: string): Promise<void>;
  setPartitioned(partitioned: boolean, healAfterMs: number | undefined): Promise<void>;
  status(): RegionStatus;
  /** Puts events that cannot be applied into the quarantine. */
  setAside(range: QuarantinedRange): Promise<void>;
  /** True once everything that the stream has now was handled; false after `limitMs`. */
  drain(limitMs: number): Promise<boolean>;
  /** Recounts everything at once. */
  digest(): DigestReply;
  /** Keeps the digest at every position from now on, for a while. */
  digests(): DigestsReply;
  /** Events of the leader that this region lacks, as last reported; undefined before the leader's first report. */
  lagEvents(): number | undefined;
  /** The read time, epoch ms. */
  nowMs(): number;
  /** Called with the clock of a router. */
  onRouterClock(heard: RouterClock): void;
}

/** Fields that every read returns in addition to its result. */
export interface ReadContext {
  readonly region: string;
  readonly position: string;
  readonly lag_events: number | null;
  /** RFC 3339. */
  readonly at: string;
}
