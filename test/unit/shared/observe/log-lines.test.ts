/** Lines of the log: equal warnings are counted, so that no client can displace everything else. */
import assert from 'node:assert/strict';
import { createLog, type Log } from '../../../../shared/observe/log.ts';
import { ManualClock } from '../../../harness/kernel/manual-clock.ts';

interface Line {
  readonly level: string;
  readonly msg: string;
  readonly repeated?: number;
  readonly [field: string]: unknown;
}

function rig(): { readonly clock: ManualClock; readonly log: Log; readonly lines: Line[] } {
  const clock = new ManualClock();
  const lines: Line[] = [];
  const destination = { write: (line: string) => void lines.push(JSON.parse(line) as Line) };
  return { clock, lines, log: createLog({ name: 'test', level: 'debug', clock, destination }) };
}

const refused = (index: number) => ({
  request_id: `r${index}`,
  method: 'POST',
  route: '/items',
  status: 503,
  code: 'overloaded',
  duration_ms: index,
  detail: `${index} requests are already in flight`,
});

describe('the log', () => {
  it('5,000 equal warnings are one line at once and one a minute with their count, the last of them', async () => {
    const { clock, log, lines } = rig();
    for (let index = 0; index < 5_000; index++) log.warn('request refused', refused(index));
    assert.equal(lines.length, 1);
    assert.equal(lines[0]!.request_id, 'r0');
    assert.equal(lines[0]!.repeated, undefined);
    await clock.advance(60_000);
    assert.equal(lines.length, 2);
    assert.deepEqual([lines[1]!.msg, lines[1]!.level, lines[1]!.repeated], ['request refused', 'warn', 4_999]);
    assert.equal(lines[1]!.request_id, 'r4999');
    for (let index = 0; index < 300; index++) {
      log.warn('request refused', refused(index));
      await clock.advance(1_000);
    }
    assert.equal(lines.length, 2 + 5);
    assert.equal(
      lines.slice(2).reduce((sum, { repeated }) => sum + repeated!, 0),
      300,
    );
  });

  it('one that occurs again after a quiet minute is a line again, and nothing waits for it', async () => {
    const { clock, log, lines } = rig();
    log.error('batch refused', { reason: 'damaged' });
    await clock.advance(60_000);
    assert.equal(clock.pending, 0);
    log.error('batch refused', { reason: 'damaged' });
    assert.equal(lines.length, 2);
    assert.ok(lines.every(({ repeated }) => repeated === undefined));
  });

  it('lines that say something else are not equal: another message, level, code, route, status or peer', () => {
    const { log, lines } = rig();
    log.warn('a');
    log.warn('b');
    log.error('a');
    log.warn('request refused', refused(1));
    log.warn('request refused', { ...refused(1), code: 'no_leader' });
    log.warn('request refused', { ...refused(1), route: '/signals' });
    log.warn('request refused', { ...refused(1), status: 507 });
    log.warn('peer away', { peer: 'eu-west', error: 'x' });
    log.warn('peer away', { peer: 'ap-south', error: 'x' });
    log.warn('peer away', { peer: 'eu-west', error: new Error('y') });
    assert.equal(lines.length, 9);
  });

  it('variants in a field of a client’s choice are bounded too', async () => {
    const { clock, log, lines } = rig();
    for (let index = 0; index < 10_000; index++) log.error('batch refused', { origin: `evil@${index}` });
    assert.equal(lines.length, 17);
    await clock.advance(60_000);
    assert.equal(lines.length, 18);
    assert.equal(lines.at(-1)!.repeated, 10_000 - 17);
  });

  it('what is no warning is not counted', () => {
    const { log, lines } = rig();
    for (let count = 0; count < 10; count++) log.info('listening');
    for (let count = 0; count < 10; count++) log.debug('detail');
    assert.equal(lines.length, 20);
  });
});
