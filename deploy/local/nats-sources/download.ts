/**
 * nats-server from its release on GitHub.
 *
 * The archive is compared with the release's SHA256SUMS, fetched from the same server over TLS. That detects a truncated or
 * damaged transfer and a proxy with another answer. It does not protect against an attacker who can replace files of the release,
 * because the sums could be replaced too.
 */
import { createHash } from 'node:crypto';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Fault } from '../../../shared/errors/errors.ts';
import { lastLine, type Tools } from './tools.ts';

export const releaseVersion = '2.10.27';
const base = `https://github.com/nats-io/nats-server/releases/download/v${releaseVersion}`;
const platforms: Readonly<Record<string, string>> = { linux: 'linux', darwin: 'darwin' };
const architectures: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

/** False if there is no build for this machine. Throws a `Fault`. */
export async function downloadRelease(tools: Tools, target: string): Promise<boolean> {
  const platform = platforms[tools.platform];
  const architecture = architectures[tools.arch];
  if (platform === undefined || architecture === undefined) return false;
  const name = `nats-server-v${releaseVersion}-${platform}-${architecture}`;
  const sums = new TextDecoder().decode(await tools.download(`${base}/SHA256SUMS`));
  const expected = sumOf(sums, `${name}.tar.gz`);
  const archive = await tools.download(`${base}/${name}.tar.gz`);
  const actual = createHash('sha256').update(archive).digest('hex');
  if (actual !== expected) {
    throw new Fault('download_failed', `${name}.tar.gz has SHA-256 ${actual}, the release says ${expected}`);
  }
  const folder = mkdtempSync(join(dirname(target), 'release-'));
  try {
    writeFileSync(join(folder, 'archive.tar.gz'), archive);
    const unpacked = await tools.run('tar', ['-xzf', 'archive.tar.gz'], { folder });
    if (unpacked.code !== 0) throw new Fault('download_failed', `tar: ${lastLine(unpacked.output)}`);
    renameSync(join(folder, name, 'nats-server'), target);
    return true;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function sumOf(sums: string, file: string): string {
  for (const line of sums.split('\n')) {
    const [sum, name] = line.trim().split(/\s+\*?/);
    if (name === file && sum !== undefined && /^[0-9a-f]{64}$/.test(sum)) return sum;
  }
  throw new Fault('download_failed', `SHA256SUMS of ${releaseVersion} does not name ${file}`);
}
