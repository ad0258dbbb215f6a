/** Certificates whose files change while a process runs: what replaces them, and what leaves the former ones in use. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Issued, issue, newAuthority } from '../../../../deploy/tidal/certificates/issue.ts';
import { type OpenedCertificates, openCertificates } from '../../../../shared/certificates/certificate-watch.ts';
import { eventually } from '../../../harness/kernel/eventually.ts';
import { ManualClock } from '../../../harness/kernel/manual-clock.ts';
import { unreadMetrics } from '../../../harness/observe/counted-metrics.ts';
import { RecordingLog } from '../../../harness/observe/recording-log.ts';

const LOOK_MS = 1_000;
const NOT_READ = 'certificate not read, the former one stays in use';
const READ = 'certificate read again';

describe('certificates that change while a process runs', () => {
  const clock = new ManualClock();
  const validity = { nowMs: clock.nowMs(), days: 10 };
  const authority = newAuthority('test', validity);
  const issued = (): Issued => issue(authority, { name: 'a', hosts: ['a'], sides: ['server'] }, validity);
  const first = issued();
  let directory = '';
  let log: RecordingLog;
  let opened: OpenedCertificates;

  const write = (texts: Partial<Issued>): void => {
    for (const [name, text] of Object.entries(texts)) writeFileSync(join(directory, `${name}.pem`), text);
  };
  const named = (name: string) => ({
    setting: `TIDAL_TLS_${name.toUpperCase()}_FILE`,
    path: join(directory, `${name}.pem`),
  });
  const use = () => opened.public!;
  const linesOf = (message: string) => log.lines.filter((line) => line.message === message);

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'certificate-watch-'));
    write(first);
    log = new RecordingLog();
    opened = openCertificates({
      files: { public: { cert: named('cert'), key: named('key'), sides: ['server'] } },
      ...{ clock, log, metrics: unreadMetrics },
    });
  });
  afterEach(async () => {
    await opened.stop();
    rmSync(directory, { recursive: true });
  });

  const half = authority.cert.slice(0, 200);
  const bad: [what: string, texts: Partial<Issued>, detail: RegExp][] = [
    ['a certificate that is cut off', { cert: first.cert.slice(0, 300) }, /^TIDAL_TLS_CERT_FILE .*of 1 .* 0 are whole/],
    ['a chain that is cut off', { cert: first.cert + half }, /^TIDAL_TLS_CERT_FILE .*: of 2 .* 1 are whole/],
    ['a chain without an end of line', { cert: first.cert.trim() + authority.cert }, /of 2 .* 1 are whole/],
    [
      'something else that is cut off',
      { cert: `${first.cert}-----BEGIN X509 CRL-----\nAA\n` },
      /_CERT_FILE .* for TLS:/,
    ],
    ['a key that is cut off', { key: first.key.slice(0, 90) }, /^TIDAL_TLS_KEY_FILE .* has no private key/],
    ['the key of another certificate', { key: issued().key }, /^TIDAL_TLS_KEY_FILE .* is not the key of/],
    ['an empty file', { cert: '' }, /^TIDAL_TLS_CERT_FILE .* has no certificate/],
  ];
  for (const [what, texts, detail] of bad) {
    it(`${what}: reported, and the former ones stay in use until good ones come`, async () => {
      let replaced = 0;
      use().onReplaced(() => replaced++);
      write(texts);
      opened.reload!();
      await eventually('it is reported', () => linesOf(NOT_READ).length === 1);
      assert.match(String(linesOf(NOT_READ)[0]?.fields.detail), detail);
      assert.equal(use().current.cert, first.cert);
      assert.equal(replaced, 0);
      const next = issued();
      write(next);
      opened.reload!();
      await eventually('they are replaced', () => replaced === 1);
      assert.equal(use().current.cert, next.cert);
    });
  }

  it('what a part of the process cannot use leaves all parts with the former ones', async () => {
    const used: (string | undefined)[] = [];
    const next = issued();
    use().onReplaced(() => used.push(use().current.cert));
    use().onReplaced(() => {
      if (use().current.cert === next.cert) throw new Error('not for this part');
    });
    write(next);
    opened.reload!();
    await eventually('it is reported', () => linesOf(NOT_READ).length === 1);
    assert.equal(linesOf(NOT_READ)[0]?.fields.detail, 'not for this part');
    assert.deepEqual(used, [next.cert, first.cert]);
    assert.equal(use().current.cert, first.cert);
  });

  it('the last of many requests to read them decides, and all are answered', async () => {
    const sets = Array.from({ length: 10 }, issued);
    for (const set of sets) {
      write(set);
      opened.reload!();
    }
    await eventually('all were read', () => linesOf(READ).length + linesOf(NOT_READ).length === sets.length);
    assert.equal(use().current.cert, sets.at(-1)!.cert);
  });

  it('nothing is replaced or reported once it is stopped, whatever was being read', async () => {
    let replaced = 0;
    use().onReplaced(() => replaced++);
    write(issued());
    opened.reload!();
    opened.reload!();
    await opened.stop();
    opened.reload!();
    await clock.settle();
    await opened.stop();
    assert.deepEqual([replaced, log.lines, use().current.cert, clock.pending], [0, [], first.cert, 0]);
  });

  it('a look finds a change, reports bad files once, and good ones when they come', async () => {
    const look = async (holds: () => boolean): Promise<void> => {
      await eventually('looks see it', async () => {
        await clock.advance(LOOK_MS);
        return holds();
      });
    };
    write({ key: 'nothing' });
    await look(() => linesOf(NOT_READ).length > 0);
    const next = issued();
    write(next);
    await look(() => use().current.cert === next.cert);
    assert.deepEqual([linesOf(NOT_READ).length, linesOf(READ).length], [1, 1]);
  });
});
