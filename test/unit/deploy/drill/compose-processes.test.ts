/** The processes of `docker compose`: the commands that are run, and that what is away or paused is started. */
import assert from 'node:assert/strict';
import { CommandError } from '../../../../deploy/backup/command.ts';
import { ComposeProcesses } from '../../../../deploy/drill/compose-processes.ts';
import { ManualClock } from '../../../harness/kernel/manual-clock.ts';

describe('the processes of docker compose', () => {
  let clock: ManualClock;
  let ran: string[];
  let states: Record<string, string>;
  let asArray: boolean;
  let refused: string | undefined;
  let processes: ComposeProcesses;
  const project = {
    services: {
      nats: { command: ['--config', '/etc/nats/nats.conf'] },
      ...Object.fromEntries(['us-east', 'eu-west'].map((name) => [name, { command: ['region'] }])),
      router: { command: ['router'] },
      prometheus: { command: ['--web.listen-address=:9090'] },
      grafana: { command: null },
      secrets: { command: ['tidal', 'secrets', 'init'] },
      operator: { command: ['tidal'] },
    },
    volumes: { nats: { name: 'p_nats' } },
  };
  beforeEach(() => {
    clock = new ManualClock();
    ran = [];
    states = { secrets: 'exited', nats: 'running', 'us-east': 'running', router: 'running' };
    asArray = false;
    refused = undefined;
    const docker = async (...args: readonly string[]): Promise<string> => {
      const command = args.join(' ');
      if (command === 'compose ps --all --format json') {
        const lines = Object.entries(states).map(([Service, State]) => JSON.stringify({ Service, State, Name: 'x' }));
        return asArray ? `[${lines.join(',')}]` : `${lines.join('\n')}\n`;
      }
      if (command === 'compose config --format json') return JSON.stringify(project);
      ran.push(command);
      if (command === refused) throw new CommandError('refused');
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

  it('NATS is made again when wiping it failed after its container was removed', async () => {
    refused = 'volume rm p_nats';
    await assert.rejects(processes.wipeNats(), /refused/);
    delete states.nats;
    await processes.start('nats');
    assert.equal(ran.at(-1), 'compose up --detach --no-deps nats');
  });

  for (const array of [false, true]) {
    it(`starts all of the cluster that is away, and nothing else; ${array ? 'an array' : 'an object a line'}`, async () => {
      asArray = array;
      states = { secrets: 'exited', operator: 'exited', 'us-east': 'exited', 'eu-west': 'paused', router: 'running' };
      Object.assign(states, { prometheus: 'exited', grafana: 'paused' });
      await processes.startAll();
      assert.deepEqual(ran, ['compose unpause eu-west', 'compose start us-east', 'compose up --detach --no-deps nats']);
    });
  }
});
