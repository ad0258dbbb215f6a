/**
 * When this process is to end. A program's first import, so that a signal is heard from the first moment on, also by
 * process 1 of a container, whose signals nobody hears otherwise.
 *
 * Causes: SIGINT (Ctrl+C), SIGTERM (a supervisor, an engine), SIGHUP (the terminal is gone), and `parent ended`: the pipe
 * on standard input that whoever started this process holds is closed (`TIDAL_PARENT_PIPE=1`), or npm is gone, which
 * started it and would otherwise leave it behind.
 */

export type EndCause = 'SIGINT' | 'SIGTERM' | 'SIGHUP' | 'parent ended';

/** Npm passes a Ctrl+C on to a process that the terminal has sent it to already: within this time it counts once. */
const ONCE_MS = 500;
const PARENT_LOOK_MS = 500;

let act: ((cause: EndCause) => void) | undefined;
let lastMs = Number.NEGATIVE_INFINITY;

function asked(cause: EndCause): void {
  const nowMs = performance.now();
  if (cause !== 'parent ended' && nowMs - lastMs < ONCE_MS) return;
  lastMs = nowMs;
  // Nothing runs yet that would have to be stopped in order.
  if (act === undefined) process.exit(0);
  act(cause);
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, asked);
if (process.env.TIDAL_PARENT_PIPE === '1') {
  process.stdin.on('end', () => asked('parent ended'));
  process.stdin.on('error', () => asked('parent ended'));
  process.stdin.resume();
  // The pipe says when to end, it is no reason to go on.
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

/** From now on `handler` is told of every cause, instead of the process ending with exit code 0 at once. */
export function onEndAsked(handler: (cause: EndCause) => void): void {
  act = handler;
}

/** The exit code of a command that was told to end before its time. */
export function interruptedCode(cause: EndCause): number {
  return { SIGHUP: 129, SIGINT: 130, SIGTERM: 143, 'parent ended': 143 }[cause];
}

/** For a command that has something to do when it is interrupted, and leaves then. */
export function onInterrupt(tidyUp: () => void | Promise<void>): void {
  let interrupted = false;
  onEndAsked((cause) => {
    const leave = (): never => process.exit(interruptedCode(cause));
    // Whoever asks twice does not want to wait.
    if (interrupted) leave();
    interrupted = true;
    Promise.resolve().then(tidyUp).then(leave, leave);
  });
}
