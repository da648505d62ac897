import net from 'node:net';
import tls from 'node:tls';

import type { ResolvedOptions } from '../client-options.ts';
import { endlessInterims, maxInterims } from '../http/interims.ts';
import { tooSlow } from '../http/pace.ts';
import { OrthancError } from '../orthanc-error.ts';
import { translateError } from '../translate-error.ts';
import type { CallName } from '../translate-error.ts';
import type { BlockPool } from './block-pool.ts';
import { BodyQueue } from './body-queue.ts';
import type { QueueOwner } from './body-queue.ts';
import { createBodySink } from './body-sink.ts';
import type { BodySink } from './body-sink.ts';
import { maxHeadBytes, parseHead } from './parse-head.ts';
import type { ResponseHead } from './parse-head.ts';

export interface GetAnswer {
  head: ResponseHead;
  body: BodyQueue;
}

/** One request and the state of its response. */
interface Exchange {
  call: CallName;
  request: Buffer | string;
  timeoutMs: number;
  /** Added to it until the response begins. */
  preparationMs: number;
  resolve: (answer: GetAnswer) => void;
  reject: (error: OrthancError) => void;
  sink: BodySink | undefined;
  queue: BodyQueue | undefined;
  head: ResponseHead | undefined;
  paused: boolean;
}

/** Idle connections are closed this long before the server would close them. */
const idleMarginMs = 100;
/** Maximum time that an idle connection is kept, even if the server allows more. */
const maxIdleMs = 30_000;

/**
 * One connection that serves one request at a time. It is `connecting`, then `idle` (kept for the next request) or `busy`
 * (with an exchange), at the end `closed`. Bytes are read into memory that this class provides, not into node's own
 * stream buffers: this makes it several times faster than node:http or undici with instances.
 */
export class GetConnection implements QueueOwner {
  readonly #options: ResolvedOptions;
  readonly #blocks: BlockPool;
  readonly #socket: net.Socket;
  readonly #onIdle: (connection: GetConnection) => void;
  /** From `#blocks`: Orthanc closes idle connections after a second, and 64 KiB for each new one would soon be garbage. */
  readonly #readBuffer: Buffer;
  #headBytes = 0;
  #interims = 0;
  /** Whether the socket reads into memory of the sink. */
  #readsIntoSink = false;
  #state: 'connecting' | 'idle' | 'busy' | 'closed' = 'connecting';
  #exchange: Exchange | undefined;
  #answerBegan = false;
  #requests = 0;
  /**
   * The deadline for the connection, for the server's next bytes, or for the next request. A number that the pool
   * checks periodically: a separate node timer for each request costs more than parsing the request.
   */
  #deadline = Infinity;
  /** Start of the rate measurement, and bytes received since; infinite while we do not wait for the server. */
  #paceSince = Infinity;
  #paceBytes = 0;
  #failure: unknown;

  constructor(
    options: ResolvedOptions,
    blocks: BlockPool,
    onIdle: (connection: GetConnection) => void,
    onClosed: (connection: GetConnection) => void,
  ) {
    this.#options = options;
    this.#blocks = blocks;
    this.#readBuffer = blocks.take(maxHeadBytes);
    this.#onIdle = onIdle;
    this.#socket = this.#connect();
    this.#socket.setNoDelay(true);
    this.#deadline = performance.now() + options.connectTimeoutMs;
    this.#socket.on(options.secure ? 'secureConnect' : 'connect', () => this.#connected());
    this.#socket.on('end', () => this.#ended());
    this.#socket.on('error', (error) => {
      this.#failure ??= error;
    });
    this.#socket.on('close', () => {
      this.#blocks.release(this.#readBuffer);
      this.#closed();
      onClosed(this);
    });
  }

  /** True while an idle connection may still be open at the other end. */
  get fresh(): boolean {
    return this.#state === 'idle' && performance.now() < this.#deadline;
  }

  /** True once a byte of the response to the latest request has arrived. */
  get answerBegan(): boolean {
    return this.#answerBegan;
  }

  /** True when the latest request went out on a connection that had served others before. */
  get wasKept(): boolean {
    return this.#requests > 1;
  }

  /** Sends one request; resolves once the header of its response has arrived. Only for a new or an idle connection. */
  get(
    call: CallName,
    request: Buffer | string,
    { timeoutMs, preparationMs }: Pick<Exchange, 'timeoutMs' | 'preparationMs'>,
  ): Promise<GetAnswer> {
    return new Promise((resolve, reject) => {
      this.#requests += 1;
      this.#answerBegan = false;
      this.#headBytes = 0;
      this.#interims = 0;
      this.#exchange = {
        call,
        request,
        timeoutMs,
        preparationMs,
        resolve,
        reject,
        sink: undefined,
        queue: undefined,
        head: undefined,
        paused: false,
      };
      if (this.#state === 'idle') {
        this.#socket.ref();
        this.#send(this.#exchange);
      } else if (this.#state === 'closed') this.#closed();
    });
  }

  /** Ends the connection immediately; a running exchange fails with `error`, or as cancelled. */
  destroy(error?: OrthancError): void {
    this.#failure ??= error ?? new OrthancError('cancelled', 'the connection was closed by this client');
    this.#socket.destroy();
  }

  /** Ends the connection if its deadline has passed or the response is too slow. Call it periodically. */
  check(now: number): void {
    const exchange = this.#exchange;
    if (exchange !== undefined) this.#checkPace(exchange, now);
    if (now < this.#deadline) return;
    if (exchange === undefined) {
      this.#socket.destroy();
      return;
    }
    const { method, path } = exchange.call;
    const what = this.#state === 'connecting' ? 'no connection' : 'no more data';
    const answerMs = exchange.timeoutMs + (this.#answerBegan ? 0 : exchange.preparationMs);
    const limitMs = this.#state === 'connecting' ? this.#options.connectTimeoutMs : answerMs;
    this.destroy(new OrthancError('timeout', `${method} ${path}: ${what} within ${limitMs} ms`, exchange.call));
  }

  /** Checks the rate: a server that sends a byte within each timeout would otherwise never time out. */
  #checkPace(exchange: Exchange, now: number): void {
    const { minBytesPerSecond } = this.#options;
    const tookMs = now - this.#paceSince;
    if (tookMs < exchange.timeoutMs) return;
    if (this.#paceBytes * 1000 < minBytesPerSecond * tookMs) {
      this.destroy(tooSlow(exchange.call, { minBytesPerSecond, windowMs: exchange.timeoutMs }));
    } else this.#watchPace(now);
  }

  #watchPace(since: number): void {
    this.#paceSince = since;
    this.#paceBytes = 0;
  }

  #connect(): net.Socket {
    const { hostname, port, secure } = this.#options;
    const onread = {
      buffer: () => this.#memory(),
      callback: (count: number) => this.#read(count),
    };
    if (!secure) return net.connect({ host: hostname, port, onread });
    const servername = net.isIP(hostname) === 0 ? { servername: hostname } : {};
    // `onread` is a documented option of tls.connect that its types lack.
    const options = { host: hostname, port, ALPNProtocols: ['http/1.1'], ...servername, ...this.#options.tls, onread };
    return tls.connect(options);
  }

  #connected(): void {
    const exchange = this.#exchange;
    this.#state = 'idle';
    if (exchange !== undefined) this.#send(exchange);
  }

  #send(exchange: Exchange): void {
    this.#state = 'busy';
    this.#watchPace(Infinity);
    this.#deadline = performance.now() + exchange.timeoutMs + exchange.preparationMs;
    if (typeof exchange.request === 'string') this.#socket.write(exchange.request, 'latin1');
    else this.#socket.write(exchange.request);
  }

  /** Memory for the next read: the sink's own while a body of known length arrives, otherwise the read buffer. */
  #memory(): Buffer {
    const room = this.#exchange?.sink?.room();
    this.#readsIntoSink = room !== undefined;
    return room ?? this.#readBuffer.subarray(this.#exchange?.sink === undefined ? this.#headBytes : 0);
  }

  /** `count` bytes are in the memory that `#memory` returned last. Returns false to stop reading. */
  #read(count: number): boolean {
    const exchange = this.#exchange;
    if (exchange === undefined || this.#state !== 'busy') {
      // Unexpected bytes: the connection is out of sync.
      this.destroy();
      return false;
    }
    // From the first byte of the response: until then the server may take as long as the timeout allows.
    if (this.#paceSince === Infinity) this.#watchPace(performance.now());
    this.#paceBytes += count;
    try {
      if (exchange.sink === undefined) this.#readHead(exchange, count);
      else if (this.#readsIntoSink) exchange.sink.filled(count);
      else exchange.sink.take(this.#readBuffer.subarray(0, count));
    } catch (error) {
      this.destroy(translateError(error, exchange.call));
      return false;
    }
    if (exchange.sink?.done === true) {
      this.#finish(exchange);
      return true;
    }
    if ((exchange.queue?.bufferedBytes ?? 0) < this.#options.maxBufferedBytes) {
      this.#deadline = performance.now() + exchange.timeoutMs;
      return true;
    }
    exchange.paused = true;
    this.#watchPace(Infinity);
    this.#deadline = Infinity;
    return false;
  }

  #readHead(exchange: Exchange, count: number): void {
    this.#answerBegan = true;
    const searchFrom = Math.max(0, this.#headBytes - 3);
    this.#headBytes += count;
    const bytes = this.#readBuffer.subarray(0, this.#headBytes);
    const end = bytes.indexOf('\r\n\r\n', searchFrom, 'latin1');
    if (end === -1) {
      if (this.#headBytes < maxHeadBytes) return;
      const { method, path } = exchange.call;
      throw new OrthancError(
        'protocol',
        `${method} ${path}: the header of the answer is longer than 64 KiB`,
        exchange.call,
      );
    }
    const head = parseHead(bytes.toString('latin1', 0, end), exchange.call);
    const rest = bytes.subarray(end + 4);
    if (head.status < 200) {
      // An interim response (RFC 9110, section 15.2): the final one follows.
      this.#interims += 1;
      if (this.#interims > maxInterims) throw endlessInterims(exchange.call);
      this.#readBuffer.copyWithin(0, end + 4, this.#headBytes);
      this.#headBytes = 0;
      if (rest.length > 0) this.#readHead(exchange, rest.length);
      return;
    }
    this.#beginBody(exchange, head, rest);
  }

  #beginBody(exchange: Exchange, head: ResponseHead, rest: Buffer): void {
    const queue = new BodyQueue(this);
    exchange.head = head;
    exchange.queue = queue;
    exchange.sink = createBodySink(
      head.framing,
      { wholeBytes: this.#options.wholeBytes, blocks: this.#blocks },
      queue,
      exchange.call,
    );
    const taken = rest.length === 0 ? 0 : exchange.sink.take(rest);
    if (taken < rest.length) exchange.head = { ...head, keepAlive: false };
    exchange.resolve({ head, body: queue });
  }

  /** For the queue: a chunk was read. */
  drained(queue: BodyQueue): void {
    const exchange = this.#exchange;
    if (exchange === undefined || !exchange.paused || exchange.queue !== queue) return;
    if (queue.bufferedBytes > this.#options.maxBufferedBytes / 2) return;
    exchange.paused = false;
    this.#watchPace(performance.now());
    this.#deadline = performance.now() + exchange.timeoutMs;
    this.#socket.resume();
  }

  /** For the queue: its reader has left, and the rest of the body is not needed. */
  abandoned(queue: BodyQueue): void {
    if (this.#exchange?.queue === queue) this.destroy();
  }

  #finish(exchange: Exchange): void {
    const { head, queue } = exchange;
    this.#exchange = undefined;
    this.#headBytes = 0;
    this.#state = 'idle';
    const idleMs = Math.min(maxIdleMs, (head?.keepAliveMs ?? 0) - idleMarginMs);
    if (head?.keepAlive !== true || idleMs <= 0) {
      queue?.end();
      this.#state = 'closed';
      this.#socket.destroy();
      return;
    }
    this.#deadline = performance.now() + idleMs;
    this.#socket.unref();
    this.#onIdle(this);
    queue?.end();
  }

  #ended(): void {
    const exchange = this.#exchange;
    if (exchange?.sink?.endsWithConnection === true) this.#finish(exchange);
    this.#socket.destroy();
  }

  #closed(): void {
    const exchange = this.#exchange;
    this.#state = 'closed';
    this.#exchange = undefined;
    if (exchange === undefined) return;
    const cause = this.#failure ?? Object.assign(new Error('closed by the server'), { code: 'ECONNRESET' });
    const error = translateError(cause, exchange.call);
    if (exchange.queue === undefined) exchange.reject(error);
    else exchange.queue.fail(error);
  }
}
