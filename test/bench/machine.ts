/** What a run was measured on and with, in words. */
import { execFileSync } from 'node:child_process';
import { arch, availableParallelism, cpus, loadavg, platform, totalmem } from 'node:os';

/** One line. The load shows how much else was running when the benchmark began. */
export function describeMachine(): string {
  const model = cpus()[0]?.model.trim() || 'unknown processor';
  const memoryGiB = (totalmem() / 1024 ** 3).toFixed(1);
  const load = loadavg()[0]!.toFixed(1);
  return `${availableParallelism()} cores (${model}), ${memoryGiB} GiB of memory, ${platform()} ${arch()}, load average ${load} at the start`;
}

/** One line: node and the project's commit. */
export function describeVersions(root: string): string {
  return `node ${process.versions.node}, tidaldb-cluster ${commitOf(root)}`;
}

function commitOf(root: string): string {
  const git = (...args: string[]): string =>
    execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  try {
    const commit = git('rev-parse', '--short=10', 'HEAD');
    // The pages themselves are what a run changes.
    const changed = git('status', '--porcelain', '--', '.', ':!docs/benchmarks') !== '';
    return changed ? `${commit} with changes` : commit;
  } catch {
    return 'of an unknown commit';
  }
}
