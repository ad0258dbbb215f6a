import assert from 'node:assert/strict';
import { digestOf } from '../../../../services/router/keys/key-access.ts';
import type { AccessKey } from '../../../../services/router/keys/keys.ts';
import { KeysFile } from '../../../../services/router/keys/keys-file.ts';
import { createMetrics } from '../../../../shared/observe/metrics.ts';
import { ManualClock } from '../../../harness/kernel/manual-clock.ts';
import { RecordingLog } from '../../../harness/observe/recording-log.ts';

const entry = (name: string): string =>
  `  - name: ${name}\n    scopes: [read]\n    sha256: ${digestOf(name).toString('hex')}\n`;
const text = (...names: readonly string[]): string => `keys:\n${names.map(entry).join('')}`;

describe('the keys file, while a router runs', () => {
  let clock: ManualClock;
  let log: RecordingLog;
  let now: string | Error;
  let keys: (readonly AccessKey[])[];
  let file: KeysFile;
  const metrics = () => createMetrics({ process: 'router', name: 'router', nodeMetrics: false });
  let shown: ReturnType<typeof metrics>;

  beforeEach(() => {
    clock = new ManualClock();
    log = new RecordingLog();
    now = text('a');
    keys = [];
    shown = metrics();
    const read = async (): Promise<string> => {
      if (typeof now !== 'string') throw now;
      return now;
    };
    const source = { path: '/keys.yaml', text: text('a'), read };
    file = new KeysFile({ source, clock, log, metrics: shown, onKeys: (read) => keys.push(read) });
    file.start();
  });
  afterEach(() => {
    void file.stop();
    return clock.settle();
  });

  const names = (): string[][] => keys.map((each) => each.map(({ name }) => name));
  const broken = async (): Promise<string | undefined> =>
    /^tidal_router_keys_file_broken\{.*\} (\d)$/m.exec((await shown.render()).text)?.[1];

  it('is read again when it changes, once', async () => {
    await clock.advance(5_000);
    assert.deepEqual(names(), []);
    now = text('a', 'b');
    await clock.advance(5_000);
    assert.deepEqual(names(), [['a', 'b']]);
    assert.deepEqual(log.messages('info'), ['keys file read']);
  });

  it('is not used while it is being written', async () => {
    await clock.advance(500);
    for (const part of ['keys:\n', text('a'), text('a', 'b')]) {
      now = part;
      await clock.advance(1_000);
    }
    assert.deepEqual(names(), []);
    await clock.advance(1_000);
    assert.deepEqual(names(), [['a', 'b']]);
  });

  it('keeps the former keys when it becomes unusable or is missing, reports each once, and recovers', async () => {
    now = 'keys: []';
    await clock.advance(10_000);
    assert.equal(await broken(), '1');
    now = new Error('ENOENT: no such file');
    await clock.advance(10_000);
    assert.deepEqual(names(), []);
    assert.deepEqual(
      log.lines.filter(({ level }) => level === 'error').map(({ fields }) => String(fields.detail).split('\n')[0]),
      ['/keys.yaml cannot be used:', 'ENOENT: no such file'],
    );
    now = text('c');
    await clock.advance(5_000);
    assert.deepEqual(names(), [['c']]);
    assert.equal(await broken(), '0');
  });

  it('is read at once on request', async () => {
    now = text('b');
    await file.reload();
    assert.deepEqual(names(), [['b']]);
    await file.reload();
    assert.deepEqual(names(), [['b'], ['b']]);
  });
});
