/**
 * nats-server from Debian's or Ubuntu's package, unpacked into the data folder instead of installed: that needs no root and
 * starts no system service. apt checks the package against the distribution's signatures as it does when installing.
 */
import { copyFileSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Fault } from '../../../shared/errors/errors.ts';
import { lastLine, type Tools } from './tools.ts';

/** False without apt. Throws `Fault('package_failed')`. */
export async function unpackPackage(tools: Tools, target: string): Promise<boolean> {
  if (tools.platform !== 'linux') return false;
  // Next to the target, so that the copy stays on one file system, in a folder of this program.
  const folder = mkdtempSync(join(dirname(target), 'package-'));
  try {
    let result = await tools.run('apt-get', ['download', 'nats-server'], { folder });
    if (result.code === 127) return false;
    if (result.code !== 0 && (await refreshIndex(tools))) {
      result = await tools.run('apt-get', ['download', 'nats-server'], { folder });
    }
    if (result.code !== 0) throw new Fault('package_failed', `apt-get download: ${lastLine(result.output)}`);
    const file = readdirSync(folder).find((name) => name.endsWith('.deb'));
    if (file === undefined) throw new Fault('package_failed', 'apt-get download left no package');
    const unpacked = await tools.run('dpkg-deb', ['-x', file, '.'], { folder });
    if (unpacked.code !== 0) throw new Fault('package_failed', `dpkg-deb: ${lastLine(unpacked.output)}`);
    // Debian packages it as a system service, hence sbin.
    const program = ['usr/sbin', 'usr/bin'].map((place) => join(folder, place, 'nats-server')).find(existsSync);
    if (program === undefined) throw new Fault('package_failed', `${file} has no nats-server where it should be`);
    copyFileSync(program, target);
    return true;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A fresh machine has no package index yet. Only if it needs no password. */
async function refreshIndex(tools: Tools): Promise<boolean> {
  const refreshed = tools.isRoot
    ? await tools.run('apt-get', ['update'])
    : await tools.run('sudo', ['-n', 'apt-get', 'update']);
  return refreshed.code === 0;
}
