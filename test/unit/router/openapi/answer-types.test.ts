/** The types of the router's answers and those of the client, which are generated from the document. The compiler compares them. */
import assert from 'node:assert/strict';
import type * as router from '../../../../services/router/cluster/cluster.ts';
import type { HealAnswer, PartitionAnswer, StopDrillAnswer } from '../../../../services/router/drills/drills.ts';
import type { JournalAnswer } from '../../../../services/router/journal/journal.ts';
import type { TraceAnswer } from '../../../../services/router/trace/trace.ts';
import type { api, cluster } from '../../../../shared/client/client.ts';
import type { Metadata } from '../../../../shared/protocol/events.ts';
import type { WriteAccepted } from '../../../../shared/protocol/internal.ts';

/** `true` if each is assignable to the other and neither has a property that the other has not. */
type Alike<A, B> = [A, keyof A] extends [B, keyof B] ? ([B, keyof B] extends [A, keyof A] ? true : never) : never;

const alike: {
  readonly status: Alike<router.ClusterStatus, cluster.StatusAnswer>;
  readonly region: Alike<router.RegionReport, cluster.RegionReport>;
  readonly disk: Alike<router.AbsentDisk, cluster.AbsentDisk>;
  readonly health: Alike<router.ClusterHealth, cluster.HealthAnswer>;
  readonly promote: Alike<router.PromoteAnswer, cluster.PromoteAnswer>;
  readonly partition: Alike<PartitionAnswer, cluster.PartitionAnswer>;
  readonly heal: Alike<HealAnswer, cluster.HealAnswer>;
  readonly drill: Alike<router.DrillInProgress, cluster.DrillInProgress>;
  readonly stopDrill: Alike<StopDrillAnswer, cluster.StopDrillAnswer>;
  readonly verify: Alike<router.VerifyAnswer, cluster.VerifyAnswer>;
  readonly retireDisk: Alike<router.RetireDiskAnswer, cluster.RetireDiskAnswer>;
  readonly quarantine: Alike<router.QuarantineAnswer, cluster.QuarantineAnswer>;
  readonly quarantined: Alike<router.QuarantineList, cluster.QuarantineList>;
  readonly events: Alike<JournalAnswer['stale'], cluster.JournalAnswer['stale']>;
  readonly trace: Alike<TraceAnswer, cluster.TraceAnswer>;
  readonly metadata: Alike<Metadata, api.Metadata>;
  readonly write: Alike<WriteAccepted, Omit<api.WriteAnswer, 'accepted' | 'entity_id'>>;
} = {
  ...{ status: true, region: true, disk: true, health: true, promote: true, partition: true, heal: true },
  ...{ drill: true, stopDrill: true, trace: true },
  ...{ verify: true, retireDisk: true, quarantine: true, quarantined: true, events: true, metadata: true, write: true },
};

describe('the types of answers', () => {
  it('are those of the document', () => {
    assert.ok(Object.values(alike).every((each) => each));
  });
});
