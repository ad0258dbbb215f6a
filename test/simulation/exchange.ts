/** One HTTP request to a Koa application without a socket: what node's server would hand it, and what it hands back. */
import { EventEmitter } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';

export interface ExchangeRequest {
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: string | undefined;
}

export interface ExchangeReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

export type Handler = (request: IncomingMessage, response: ServerResponse) => unknown;

/** `answered` is called once, in the step in which the application ends its answer; never if it does not. */
export function exchange(handler: Handler, request: ExchangeRequest, answered: (reply: ExchangeReply) => void): void {
  handler(new Incoming(request) as unknown as IncomingMessage, new Outgoing(answered) as unknown as ServerResponse);
}

class Socket extends EventEmitter {
  readonly remoteAddress = '127.0.0.1';
  readonly encrypted = false;
  readonly writable = true;
}

class Incoming extends EventEmitter {
  readonly method: string;
  readonly url: string;
  readonly headers: Record<string, string> = {};
  readonly httpVersionMajor = 1;
  readonly httpVersionMinor = 1;
  readonly complete = true;
  readonly socket = new Socket();
  private readonly body: Buffer;
  private flowing = false;

  constructor({ method, path, headers = {}, body = '' }: ExchangeRequest) {
    super();
    this.method = method;
    this.url = path;
    this.body = Buffer.from(body);
    for (const [name, value] of Object.entries(headers)) this.headers[name.toLowerCase()] = value;
    if (this.body.length > 0) this.headers['content-length'] = String(this.body.length);
  }

  override on(event: string, listener: (...given: never[]) => void): this {
    super.on(event, listener as () => void);
    if (event === 'end') this.flow();
    return this;
  }

  resume(): this {
    return this;
  }

  private flow(): void {
    if (this.flowing) return;
    this.flowing = true;
    queueMicrotask(() => {
      if (this.body.length > 0) this.emit('data', this.body);
      this.emit('end');
    });
  }
}

class Outgoing extends EventEmitter {
  statusCode = 404;
  headersSent = false;
  finished = false;
  writableEnded = false;
  readonly writable = true;
  readonly socket = new Socket();
  private readonly headers: Record<string, string> = {};
  private readonly answered: (reply: ExchangeReply) => void;

  constructor(answered: (reply: ExchangeReply) => void) {
    super();
    this.answered = answered;
  }

  setHeader(name: string, value: unknown): this {
    this.headers[name.toLowerCase()] = String(value);
    return this;
  }

  getHeader(name: string): string | undefined {
    return this.headers[name.toLowerCase()];
  }

  hasHeader(name: string): boolean {
    return Object.hasOwn(this.headers, name.toLowerCase());
  }

  getHeaders(): Readonly<Record<string, string>> {
    return this.headers;
  }

  getHeaderNames(): string[] {
    return Object.keys(this.headers);
  }

  removeHeader(name: string): void {
    delete this.headers[name.toLowerCase()];
  }

  flushHeaders(): void {
    this.headersSent = true;
  }

  end(body?: string | Uint8Array): this {
    if (this.finished) return this;
    this.headersSent = true;
    this.finished = true;
    this.writableEnded = true;
    const bytes = body === undefined ? Buffer.alloc(0) : Buffer.from(body as Uint8Array);
    this.answered({ status: this.statusCode, headers: this.headers, body: bytes });
    this.emit('finish');
    return this;
  }
}
