/** Reads HTTP/1.1 answers from a connection, in their order. Strict: what is no whole answer is an error. */
export interface Answer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer;
  /** The server closes the connection after it. */
  readonly closes: boolean;
}

const HEAD_END = Buffer.from('\r\n\r\n');

export class AnswerReader {
  private received: Buffer = Buffer.alloc(0);

  add(data: Buffer): void {
    this.received = this.received.length === 0 ? data : Buffer.concat([this.received, data]);
  }

  /** Received and not yet read. */
  get left(): Buffer {
    return this.received;
  }

  /** The next answer, if it is whole. `toHead`: it answers a HEAD. Throws for what is none. */
  next(toHead: boolean): Answer | undefined {
    for (;;) {
      const end = this.received.indexOf(HEAD_END);
      if (end < 0) return undefined;
      const [first = '', ...lines] = this.received.subarray(0, end).toString('latin1').split('\r\n');
      const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(`${first} `)?.[1]);
      if (Number.isNaN(status)) throw new Error(`no answer: ${JSON.stringify(first.slice(0, 200))}`);
      const headers = new Map(
        lines.map((line): [string, string] => {
          const colon = line.indexOf(':');
          if (colon <= 0) throw new Error(`no header: ${JSON.stringify(line.slice(0, 200))}`);
          return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
        }),
      );
      const start = end + HEAD_END.length;
      if (status < 200) {
        this.received = this.received.subarray(start);
        continue;
      }
      const bodyless = toHead || status === 204 || status === 304;
      const whole = bodyless ? { body: Buffer.alloc(0), next: start } : this.bodyAt(start, headers);
      if (whole === undefined) return undefined;
      this.received = this.received.subarray(whole.next);
      return { status, headers, body: whole.body, closes: headers.get('connection')?.toLowerCase() === 'close' };
    }
  }

  private bodyAt(start: number, headers: ReadonlyMap<string, string>): { body: Buffer; next: number } | undefined {
    const length = headers.get('content-length');
    if (length !== undefined) {
      const next = start + Number(length);
      return this.received.length < next ? undefined : { body: this.received.subarray(start, next), next };
    }
    if (headers.get('transfer-encoding') !== 'chunked') throw new Error('an answer of no stated length');
    const parts: Buffer[] = [];
    for (let at = start; ; ) {
      const lineEnd = this.received.indexOf('\r\n', at);
      if (lineEnd < 0) return undefined;
      const size = Number.parseInt(this.received.toString('latin1', at, lineEnd), 16);
      if (Number.isNaN(size)) throw new Error('a chunk of no size');
      const data = lineEnd + 2;
      if (this.received.length < data + size + 2) return undefined;
      if (size === 0) return { body: Buffer.concat(parts), next: data + 2 };
      parts.push(this.received.subarray(data, data + size));
      at = data + size + 2;
    }
  }
}
