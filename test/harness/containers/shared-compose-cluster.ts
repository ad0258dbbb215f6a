/**
 * One compose cluster for all suites that break it and mend it again: up at the first need, down after the run. One in
 * which a test failed is taken down and not used again, so that no failure is another's cause.
 */
import { ComposeCluster, servingServices } from './compose-cluster.ts';
import { atEndOfRun, buildLimitMs, needDocker } from './docker.ts';

let shared: Promise<ComposeCluster> | undefined;

/** Registers the suite's hooks; called inside its `describe`. `cluster()` is up and settled in every test. */
export function sharedComposeCluster(): () => ComposeCluster {
  let cluster: ComposeCluster | undefined;

  before(async function () {
    this.timeout(buildLimitMs);
    await needDocker(this);
  });

  beforeEach(async function () {
    this.timeout(buildLimitMs);
    shared ??= ComposeCluster.up({}, servingServices);
    cluster = await shared;
    await cluster.settled();
  });

  afterEach(async function () {
    this.timeout(120_000);
    if (this.currentTest?.state === 'failed') await takeDown();
  });

  return () => {
    if (cluster === undefined) throw new Error('there is a cluster only in tests');
    return cluster;
  };
}

async function takeDown(): Promise<void> {
  const cluster = await shared?.catch(() => undefined);
  shared = undefined;
  await cluster?.down();
}

atEndOfRun(takeDown);
