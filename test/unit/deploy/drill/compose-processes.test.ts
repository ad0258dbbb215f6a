/** The processes of `docker compose`: the commands that are run, and that what is away or paused is started. */
import assert from 'node:assert/strict';
import { ComposeProcesses } from '../../../../deploy/drill/compose-processes.ts';
import { ManualClock } from '../../../harness/kernel/manual-clock.ts';

describe('the processes of docker compose', () => {
  let clock: ManualClock;
  let ran: string[];
  let states: Record<string, string>;
  let asArray: boolean;
  let processes: ComposeProcesses;
  beforeEach(() => {
    clock = new ManualClock();
    ran = [];
    states = { secrets: 'exited', nats: 'running', 'us-east': 'running', router: 'running' };
    asArray = false;
    const docker = async (...args: readonly string[]): Promise<string> => {
      const command = args.join(' ');
      if (command === 'compose ps --all --format json') {
        const lines = Object.entries(states).map(([Service, State]) => JSON.stringify({ Service, State, Name: 'x' }));
        return asArray ? `[${lines.join(',')}]` : `${lines.join('\n')}\n`;
      }
      if (command === 'compose config --format json') return '{"volumes":{"nats":{"name":"p_nats"}}}';
      ran.push(command);
      return '';
    };
    processes = new ComposeProcesses({ clock, docker });
  });

  it('kills, stops, pauses; and starts or resumes as the service needs it', async () => {
    await processes.kill('us-east', 1_000);
    states['us-east'] = 'exited';
    await processes.start('us-east');
    await processes.pause('router', 1_000);
    states.router = 'paused';
    await processes.start('router');
    await processes.stop('nats', 1_000);
    await processes.start('nats');
    assert.deepEqual(ran, [
      ...['compose kill us-east', 'compose start us-east', 'compose pause router', 'compose unpause router'],
      'compose stop nats',
    ]);
    assert.equal(clock.pending, 0, 'no deadline is left');
  });

  it('what is away is started at its deadline', async () => {
    await processes.kill('us-east', 5_000);
    states['us-east'] = 'exited';
    await clock.advance(4_999);
    assert.deepEqual(ran, ['compose kill us-east']);
    await clock.advance(1);
    assert.deepEqual(ran, ['compose kill us-east', 'compose start us-east']);
  });

  it('NATS loses its volume, as the project names it', async () => {
    await processes.wipeNats();
    assert.deepEqual(ran, [
      ...['compose rm --stop --force nats', 'volume rm p_nats', 'compose up --detach --no-deps nats'],
    ]);
  });

  for (const array of [false, true]) {
    it(`starts all that is away, and nothing that runs once; ${array ? 'an array' : 'an object a line'}`, async () => {
      asArray = array;
      states = { secrets: 'exited', operator: 'exited', 'us-east': 'exited', 'eu-west': 'paused', router: 'running' };
      await processes.startAll();
      assert.deepEqual(ran, ['compose unpause eu-west', 'compose start us-east', 'compose up --detach --no-deps nats']);
    });
  }
});
