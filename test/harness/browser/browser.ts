/** A real Chromium for tests of the console: Debian's package, or another one that is installed. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type Browser, chromium } from 'playwright-core';

/** Undefined: there is none. `TIDAL_CHROMIUM` names one. */
export function findChromium(): string | undefined {
  const named = process.env.TIDAL_CHROMIUM;
  if (named !== undefined && named !== '') return named;
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  const names = ['chromium', 'chromium-browser', 'google-chrome'];
  return ['/usr/bin', ...folders].flatMap((folder) => names.map((name) => join(folder, name))).find(isExecutable);
}

/** Skips the suite, which says so, without a Chromium; with `CI` set that is a failure. */
export function needChromium(context: Mocha.Context): string {
  const path = findChromium();
  if (path !== undefined) return path;
  const why = 'no Chromium is installed (apt-get install chromium, or TIDAL_CHROMIUM=/path)';
  if ((process.env.CI ?? '') !== '') throw new Error(why);
  console.log(`      SKIPPED: ${why}`);
  return context.skip();
}

export function launchBrowser(path: string): Promise<Browser> {
  return chromium.launch({
    executablePath: path,
    // Root has no sandbox to start one in, and containers have a small /dev/shm.
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu', '--lang=en-GB'],
  });
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
