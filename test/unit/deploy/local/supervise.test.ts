/** A child that drills hold: killed, stopped or paused, one after the other, and what a killed launcher leaves of it. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { endOrphans } from '../../../../deploy/local/own-process.ts';
import { Child, type Hold, type ProcessState } from '../../../../deploy/local/supervise.ts';
import { systemClock as clock } from '../../../../shared/kernel/system.ts';
import { eventually } from '../../../harness/kernel/eventually.ts';

const listening = `
  console.log(JSON.stringify({ msg: 'listening on nothing' }));
  process.stdin.resume().on('end', () => process.exit(0));
  process.on('SIGTERM', () => process.exit(0));
`;
/** T: stopped by a signal. */
const stateOf = (pid: number): string => readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /, '')[0]!;

describe('a held child', function () {
  this.timeout(60_000);
  let child: Child;
  beforeEach(async () => {
    child = new Child({
      ...{ name: 'us-east', command: process.execPath, args: ['-e', listening], environment: process.env, clock },
      ...{ onLine: () => {}, onEvent: () => {}, stopLimitMs: 10_000 },
    });
    assert.ok(await child.start());
  });
  afterEach(() => child.stop());
  const reaches = (state: ProcessState) => eventually(state, () => child.state === state, 20_000);

  const reached: Readonly<Record<Hold, ProcessState>> = { kill: 'stopped', stop: 'stopped', pause: 'paused' };
  const pairs: readonly (readonly [Hold, Hold])[] = [
    ['pause', 'kill'],
    ['pause', 'stop'],
    ['kill', 'pause'],
    ['stop', 'pause'],
    ['kill', 'stop'],
  ];
  for (const [first, second] of pairs) {
    it(`${first}, then ${second}: the second takes the place of the first, and it runs again`, async () => {
      child.hold(first);
      await reaches(reached[first]);
      child.hold(second);
      await reaches(reached[second]);
      child.release();
      await reaches('running');
    });
  }

  it('a pause while it starts again: it runs when it is released', async () => {
    child.hold('kill');
    await reaches('stopped');
    child.release();
    child.hold('pause');
    assert.equal(child.state, 'paused');
    child.release();
    await reaches('running');
  });
});

describe('a process that a killed launcher has left paused', function () {
  this.timeout(60_000);
  const marker = `marker-${process.pid}`;
  const orphan = async (program: string): Promise<ChildProcess> => {
    const left = spawn(process.execPath, ['-e', program, marker], {
      detached: true,
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    await once(left.stdout!, 'data');
    process.kill(-left.pid!, 'SIGSTOP');
    await eventually('it stands', () => stateOf(left.pid!) === 'T', 10_000);
    // The launcher's end of its pipe.
    left.stdin!.destroy();
    return left;
  };

  it('is continued, and ends in order', async () => {
    const left = await orphan(listening);
    const exited = once(left, 'exit');
    const pids = { 'us-east': left.pid!, 'eu-west': process.pid };
    assert.deepEqual(await endOrphans({ pids, marker, clock, limitMs: 20_000 }), ['us-east']);
    assert.deepEqual(await exited, [0, null]);
  });

  it('is ended if it does not', async () => {
    const left = await orphan(`console.log('up'); setInterval(() => {}, 1_000)`);
    const exited = once(left, 'exit');
    await endOrphans({ pids: { 'us-east': left.pid! }, marker, clock, limitMs: 200 });
    assert.deepEqual(await exited, [null, 'SIGKILL']);
  });

  it('another process of the same id is left alone', async () => {
    const other = await orphan(listening);
    const exited = once(other, 'exit');
    const pids = { 'us-east': other.pid! };
    assert.deepEqual(await endOrphans({ pids, marker: 'not its marker', clock, limitMs: 100 }), []);
    assert.equal(stateOf(other.pid!), 'T');
    process.kill(-other.pid!, 'SIGKILL');
    await exited;
  });
});
