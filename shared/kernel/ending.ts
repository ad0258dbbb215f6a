/**
 * The causes for which this process ends. It is a program's first import, so that signals are handled from the start, also by
 * process 1 of a container, for which there is no default handler.
 *
 * Causes: SIGINT (Ctrl+C), SIGTERM (a supervisor, an engine), SIGHUP (the terminal was closed) unless the
 * process reads files again on it, and `parent ended`: the parent
 * has closed the pipe on standard input (`TIDAL_PARENT_PIPE=1`), or npm has ended, which started this process and would otherwise
 * leave it running.
 */

export type EndCause = 'SIGINT' | 'SIGTERM' | 'SIGHUP' | 'parent ended';

/** npm forwards a Ctrl+C to a process that has already received it from the terminal: within this time it counts once. */
const ONCE_MS = 500;
const PARENT_LOOK_MS = 500;

let act: ((cause: EndCause) => void) | undefined;
const reloads: (() => void)[] = [];
let lastMs = Number.NEGATIVE_INFINITY;

function asked(cause: EndCause): void {
  const nowMs = performance.now();
  if (cause !== 'parent ended' && nowMs - lastMs < ONCE_MS) return;
  lastMs = nowMs;
  // Nothing runs yet that would need an orderly stop.
  if (act === undefined) process.exit(0);
  act(cause);
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, asked);
process.on('SIGHUP', () => {
  if (reloads.length === 0) asked('SIGHUP');
  for (const reload of reloads) reload();
});
if (process.env.TIDAL_PARENT_PIPE === '1') {
  process.stdin.on('end', () => asked('parent ended'));
  process.stdin.on('error', () => asked('parent ended'));
  process.stdin.resume();
  // The pipe must not keep the process alive.
  (process.stdin as { unref?: () => void }).unref?.();
} else if (process.env.npm_lifecycle_event !== undefined) {
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    asked('parent ended');
  }, PARENT_LOOK_MS);
  timer.unref();
}

/** Calls `handler` for every cause from now on, instead of ending the process with exit code 0 at once. */
export function onEndAsked(handler: (cause: EndCause) => void): void {
  act = handler;
}

/** From now on SIGHUP calls `handler` too, and is no cause to end. */
export function onReload(handler: () => void): void {
  reloads.push(handler);
}

/** The exit code of an interrupted command. */
export function interruptedCode(cause: EndCause): number {
  return { SIGHUP: 129, SIGINT: 130, SIGTERM: 143, 'parent ended': 143 }[cause];
}

/** For a command that has to clean up when it is interrupted, and then exits. */
export function onInterrupt(tidyUp: () => void | Promise<void>): void {
  let interrupted = false;
  onEndAsked((cause) => {
    const leave = (): never => process.exit(interruptedCode(cause));
    // A second signal ends it without waiting.
    if (interrupted) leave();
    interrupted = true;
    Promise.resolve().then(tidyUp).then(leave, leave);
  });
}
