/** Reads what `strace -f -o` wrote: the calls in the order in which they returned. */

export interface TracedCall {
  readonly name: string;
  /** The whole line, arguments included. */
  readonly text: string;
  /** The first argument, where it is a number. */
  readonly descriptor: number | undefined;
  readonly result: number;
}

export function parseTrace(trace: string): TracedCall[] {
  const calls: TracedCall[] = [];
  /** Begun calls by thread: strace splits a line when another thread comes in between. */
  const begun = new Map<string, string>();
  for (const line of trace.split('\n')) {
    const [, thread, rest] = /^(\d+) +(.*)$/.exec(line) ?? [];
    if (thread === undefined || rest === undefined) continue;
    if (rest.endsWith('<unfinished ...>')) {
      begun.set(thread, rest.slice(0, -'<unfinished ...>'.length));
      continue;
    }
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(rest);
    const text = resumed === null ? rest : `${begun.get(thread) ?? ''}${resumed[1]}`;
    const call = /^(\w+)\((.*)\) += (-?\d+)/.exec(text);
    if (call === null) continue;
    const descriptor = /^\d+/.exec(call[2]!)?.[0];
    calls.push({
      name: call[1]!,
      text,
      descriptor: descriptor === undefined ? undefined : Number(descriptor),
      result: Number(call[3]),
    });
  }
  return calls;
}
