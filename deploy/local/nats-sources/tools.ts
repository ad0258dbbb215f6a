/** The machine as the sources use it: running programs, downloading, platform and architecture. */
import { execFile } from 'node:child_process';
import { Fault, messageOf } from '../../../shared/errors/errors.ts';
import type { Clock } from '../../../shared/kernel/kernel.ts';

export interface RunResult {
  /** Exit code; 127 if there is no such program. */
  readonly code: number;
  /** Standard output and error together, trimmed. */
  readonly output: string;
}

export interface Tools {
  /** Never throws. `folder` = working directory. */
  run(command: string, args: readonly string[], options?: { readonly folder?: string }): Promise<RunResult>;
  /** The body of a 200; throws `Fault('download_failed')` otherwise. */
  download(url: string): Promise<Uint8Array>;
  /** `linux`, `darwin` … and `x64`, `arm64` … as Node names them. */
  readonly platform: string;
  readonly arch: string;
  readonly isRoot: boolean;
}

/** Long enough for a package index or an image over a slow line. */
const runLimitMs = 300_000;
const downloadLimitMs = 120_000;

export function machineTools(clock: Clock): Tools {
  return {
    platform: process.platform,
    arch: process.arch,
    isRoot: process.getuid?.() === 0,
    run(command, args, { folder } = {}) {
      return new Promise((resolve) => {
        const options = {
          timeout: runLimitMs,
          maxBuffer: 16 * 1024 * 1024,
          ...(folder === undefined ? {} : { cwd: folder }),
        };
        execFile(command, [...args], options, (error, stdout, stderr) => {
          const output = `${stdout}${stderr}`.trim();
          if (error === null) resolve({ code: 0, output });
          else if (error.code === 'ENOENT') resolve({ code: 127, output: `${command}: not found` });
          else resolve({ code: typeof error.code === 'number' ? error.code : 1, output: output || error.message });
        });
      });
    },
    async download(url) {
      const limit = new AbortController();
      const timer = clock.after(downloadLimitMs, () => limit.abort());
      try {
        const response = await fetch(url, { signal: limit.signal });
        if (!response.ok) throw new Fault('download_failed', `${url} answered ${response.status}`);
        return new Uint8Array(await response.arrayBuffer());
      } catch (error) {
        if (error instanceof Fault) throw error;
        const cause = error instanceof Error && error.cause !== undefined ? ` (${messageOf(error.cause)})` : '';
        throw new Fault('download_failed', `${url} cannot be fetched: ${messageOf(error)}${cause}`);
      } finally {
        timer.cancel();
      }
    },
  };
}

/** The version output of a program; throws if it cannot be run. */
export async function versionOf(tools: Tools, path: string): Promise<string> {
  const { code, output } = await tools.run(path, ['--version']);
  if (code !== 0) throw new Fault('nats_server_unusable', `${path} cannot be run: ${lastLine(output)}`);
  return output;
}

export function lastLine(output: string): string {
  return output.split('\n').at(-1) ?? '';
}
