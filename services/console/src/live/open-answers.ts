import type { ServerResponse } from 'node:http';
import type { FastifyRequest } from 'fastify';
import type { Redis, Logger } from '@dicom-dispatch/runtime';

const checkMs = 15_000;

interface OpenAnswer {
  readonly response: ServerResponse;
  readonly session: string | undefined;
  readonly isAllowed: () => Promise<boolean>;
}

/**
 * Responses that are being sent. When a session ends, here or at another console, or when its user is removed or gets a lower
 * role, responses in progress (streams of events, exports) end too.
 */
export class OpenAnswers {
  readonly #open = new Set<OpenAnswer>();
  readonly #redis: Redis;
  readonly #channel: string;
  readonly #log: Logger;
  readonly #timer: NodeJS.Timeout;
  #subscriber: Redis | undefined;

  constructor(redis: Redis, channel: string, log: Logger) {
    this.#redis = redis;
    this.#channel = channel;
    this.#log = log;
    this.#timer = setInterval(() => void this.recheck(), checkMs).unref();
  }

  add(request: FastifyRequest, response: ServerResponse, isAllowed: () => Promise<boolean>): void {
    const one = { response, session: request.identity?.session, isAllowed };
    this.#open.add(one);
    response.once('close', () => this.#open.delete(one));
  }

  start(): void {
    const subscriber = this.#redis.duplicate();
    this.#subscriber = subscriber;
    // The original connection reports when Redis is unavailable; this one subscribes again automatically.
    subscriber.on('error', () => {});
    subscriber.on('message', (_channel, session: string) => {
      if (session === '*') void this.recheck();
      else for (const one of this.#open) if (one.session === session) cut(one);
    });
    void subscriber.subscribe(this.#channel).catch(() => {});
  }

  /** Ends responses that are no longer allowed. */
  async recheck(): Promise<void> {
    for (const one of this.#open) {
      if (!isBeingSent(one)) continue;
      try {
        if (!(await one.isAllowed())) cut(one);
      } catch (error) {
        this.#log.debug({ err: error }, 'open answer not checked');
      }
    }
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#subscriber?.disconnect();
    this.#subscriber = undefined;
  }
}

/** Responses that have not begun are short, and were allowed when they were requested. */
function isBeingSent({ response }: OpenAnswer): boolean {
  return response.headersSent && !response.writableEnded;
}

function cut(one: OpenAnswer): void {
  if (isBeingSent(one)) one.response.destroy();
}
