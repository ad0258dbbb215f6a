/**
 * Runs the `bash` blocks of a document as they stand, against a cluster that listens elsewhere: a `curl` in front of the
 * real one connects `localhost:9500` to the cluster's own port and turns an HTTP error into a failing command.
 */
import { execFile } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Programs a block may use; the first that is missing, or undefined. */
export async function missingProgram(): Promise<string | undefined> {
  for (const program of ['bash', 'curl', 'jq']) {
    try {
      await run(program, ['--version']);
    } catch {
      return program;
    }
  }
  return undefined;
}

export class BlockRunner {
  private readonly directory: string;

  /** `url`: where `localhost:9500` of the blocks really is. `key`: of the cluster, if it needs one. */
  constructor(url: string, key?: string) {
    this.directory = mkdtempSync(join(tmpdir(), 'tidal-blocks-'));
    const shim = join(this.directory, 'curl');
    const target = new URL(url).host;
    const header = key === undefined ? '' : ` --header 'Authorization: Bearer ${key}'`;
    writeFileSync(
      shim,
      `#!/bin/bash\nPATH="\${PATH#*:}" exec curl --silent --show-error --fail-with-body --connect-to localhost:9500:${target}${header} "$@"\n`,
    );
    chmodSync(shim, 0o755);
  }

  /** Standard output of the block; throws with everything it printed when a command in it fails. */
  async run(text: string): Promise<string> {
    const { stdout } = await run('bash', ['-e', '-o', 'pipefail', '-c', text], {
      env: { ...process.env, PATH: `${this.directory}:${process.env.PATH}` },
      timeout: 30_000,
    });
    return stdout;
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}
