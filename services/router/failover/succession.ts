/**
 * Finds the successor of a leader that is about to stop: it sees `draining` in the leader's status, chooses as failover does, and
 * promotes by the planned procedure, with manual failover too. Retried with every status until another region leads or the leader
 * has stopped. Several routers may try: the compare-and-set lets one succeed.
 */
import { Fault, messageOf, Refusal } from '../../../shared/errors/errors.ts';
import type { Log } from '../../../shared/observe/log.ts';
import type { ReportedStatus } from '../../../shared/region-client/reported-status.ts';
import type { LeadershipView, Promote, RegionsView } from '../cluster/cluster.ts';
import { chooseCandidate, disqualified } from './choose-candidate.ts';

export interface SuccessionOptions {
  readonly leadership: LeadershipView;
  readonly regions: RegionsView;
  /** Of the topology, in its order. */
  readonly names: readonly string[];
  readonly promote: Promote;
  readonly log: Log;
}

export class Succession {
  private readonly options: SuccessionOptions;
  private underWay: Promise<void> | undefined;

  constructor(options: SuccessionOptions) {
    this.options = options;
  }

  /** Must be called with every status. */
  consider(status: ReportedStatus): void {
    const { leadership } = this.options;
    const record = leadership.current;
    if (status.draining !== true || record?.leader !== status.region || record.handover !== undefined) return;
    this.underWay ??= this.find(status, record.epoch).finally(() => {
      this.underWay = undefined;
    });
  }

  /** Resolves when no promotion is in progress. */
  async stop(): Promise<void> {
    await this.underWay;
  }

  private async find({ region: leader, signals }: ReportedStatus, epoch: number): Promise<void> {
    const { regions, names, promote, log } = this.options;
    try {
      const others = await Promise.all(names.filter((name) => name !== leader).map((name) => regions.ask(name)));
      const asked = others.filter((region) => region !== undefined);
      const candidate = chooseCandidate(asked, { epoch, signals });
      if (candidate === undefined) {
        const why = asked.map((region) => `${region.status.region} ${disqualified(region)}`);
        log.warn('leader stopping, no region can take over', { leader, others: why });
        return;
      }
      const { region } = candidate.status;
      const answer = await promote({ region, force: false });
      log.info('stopping leader handed over', { from: leader, to: region, epoch: answer.epoch });
    } catch (error) {
      if (!(error instanceof Fault || error instanceof Refusal)) throw error;
      log.info('stopping leader not handed over yet', { leader, detail: messageOf(error) });
    }
  }
}
