/** A router's machine: it has nothing to lose. */
import { createHttpRegionLink } from '../../services/router/links/http-region-link.ts';
import { createRouter, type RouterService } from '../../services/router/router.ts';
import { DRILL_KEY, JOURNAL_KEY } from '../../shared/leadership/leadership.ts';
import { LEADERSHIP_KEY } from '../../shared/stream/settings.ts';
import { internalKeys } from './credentials.ts';
import type { Life } from './life.ts';
import { Machine } from './machine.ts';

export class RouterMachine extends Machine {
  router: RouterService | undefined;

  protected override async run(life: Life): Promise<void> {
    const { world, name } = this;
    const { network, topology } = world;
    const client = this.client!;
    const metrics = this.metricsOf('router');
    const openPool = network.poolsOf(life);
    const router = createRouter({
      clock: life.clock,
      random: life.chance.fork('random'),
      log: this.log(),
      metrics,
      control: life.control(this.keysOf(client)(LEADERSHIP_KEY)),
      journal: life.control(this.keysOf(client)(JOURNAL_KEY)),
      drillKey: life.control(this.keysOf(client)(DRILL_KEY)),
      failover:
        topology.failover === undefined
          ? undefined
          : { ...topology.failover, keys: (key) => life.control(this.keysOf(client)(key)) },
      topology,
      links: new Map(
        topology.regions.map((entry) => [
          entry.name,
          createHttpRegionLink({ entry, clock: life.clock, router: name, internalKeys, openPool }),
        ]),
      ),
      maxBodyBytes: 2 * 1024 * 1024,
      maxBodiesBytes: 64 * 1024 * 1024,
      httpLimits: { inFlight: 512, arrivingBodies: 512, answersBytes: 128 * 1024 * 1024 },
      heldWritesLimit: world.limits.tidal_router_held_writes,
      heldWritesMs: 10_000,
    });
    this.router = router;
    network.listen(name, life, router.app.callback());
    router.start();
  }

  protected override get serves(): boolean {
    return this.router !== undefined;
  }

  protected override async stopping(): Promise<void> {
    this.world.network.unlisten(this.name, true);
    this.router?.drain();
    await this.router?.close();
  }

  protected override stopped(): void {
    this.router = undefined;
    this.world.forgetEpochs();
  }
}
