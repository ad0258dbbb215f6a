/** What counts as memory, and which limit holds: the setting, the container's in either version of control groups, or none. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { residentMemory } from '../../../../services/region/resident-memory/resident-memory.ts';

const process = {
  'proc/self/status': 'Name:\tnode\nVmRSS:\t  900 kB\nRssAnon:\t     600 kB\nRssFile:\t  300 kB\n',
  'proc/meminfo': 'MemTotal:       8000000 kB\nMemFree:  1 kB\n',
};

describe('resident memory', () => {
  let root: string;

  const files = (contents: Record<string, string>): void => {
    for (const [path, text] of Object.entries({ ...process, ...contents })) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text);
    }
  };
  const reading = (maxBytes = 0) => residentMemory({ maxBytes, root })?.read();

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'tidal-memory-'));
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  it('a setting limits the anonymous pages of the process', () => {
    files({ 'proc/self/cgroup': '0::/\n', 'sys/fs/cgroup/memory.max': '5\n' });
    assert.deepEqual(reading(1_000_000), { usedBytes: 600 * 1024, limitBytes: 1_000_000 });
    assert.match(residentMemory({ maxBytes: 1, root })!.setting, /TIDAL_MAX_MEMORY_BYTES/);
  });

  it('in a container of version 2 it is four fifths of the group’s, for its anonymous pages', () => {
    files({
      'proc/self/cgroup': '0::/system.slice/tidal.service\n',
      'sys/fs/cgroup/system.slice/tidal.service/memory.max': '2147483648\n',
      'sys/fs/cgroup/system.slice/tidal.service/memory.stat': 'anon 700000\nfile 900000\nanon_thp 5\n',
    });
    assert.deepEqual(reading(), { usedBytes: 700_000, limitBytes: Math.floor(2_147_483_648 * 0.8) });
  });

  it('where the group is mounted as the top of the hierarchy, it is found there', () => {
    files({
      'proc/self/cgroup': '12:cpu,memory:/docker/abc\n0::/\n',
      'sys/fs/cgroup/memory/memory.limit_in_bytes': '1000000\n',
      'sys/fs/cgroup/memory/memory.stat': 'rss 1\ntotal_rss 400000\n',
    });
    assert.deepEqual(reading(), { usedBytes: 400_000, limitBytes: 800_000 });
  });

  it('without a limit, or with one beyond the machine’s memory, there is none', () => {
    files({ 'proc/self/cgroup': '0::/\n', 'sys/fs/cgroup/memory.max': 'max\n' });
    assert.equal(reading(), undefined);
    files({
      'proc/self/cgroup': '4:memory:/\n',
      'sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n',
    });
    assert.equal(reading(), undefined);
  });

  it('without these files the whole process counts against a setting', () => {
    assert.ok(reading(1_000)!.usedBytes > 1_000_000);
    assert.equal(reading(), undefined);
  });
});
