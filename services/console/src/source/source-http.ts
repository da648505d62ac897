import { readFile } from 'node:fs/promises';
import type { SourceConfig } from '@dicom-dispatch/core';
import { Agent, request, type Dispatcher } from 'undici';

const maxJsonBytes = 16 * 1024 * 1024;
const maxImageBytes = 2 * 1024 * 1024;

/** An answer of a source that is no success, or none at all. */
export class SourceAnswerError extends Error {
  override readonly name = 'SourceAnswerError';
  /** HTTP status; undefined when there was no answer. */
  readonly status: number | undefined;
  constructor(message: string, status?: number, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
  }
}

/** What the console asks of a source beside what deliveries need: searches, tags of many studies, previews. */
export class SourceHttp {
  readonly #base: string;
  readonly #headers: Record<string, string>;
  readonly #agent: Dispatcher;

  private constructor(config: SourceConfig, agent: Dispatcher) {
    const url = new URL(config.url);
    const username = config.username ?? decodeURIComponent(url.username);
    const password = config.password?.reveal() ?? decodeURIComponent(url.password);
    url.username = '';
    url.password = '';
    this.#base = url.href.replace(/\/+$/, '');
    this.#agent = agent;
    this.#headers =
      username === '' ? {} : { authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` };
  }

  static async open(config: SourceConfig): Promise<SourceHttp> {
    const { tls } = config;
    const file = async (path: string | undefined): Promise<Buffer | undefined> =>
      path === undefined ? undefined : readFile(path);
    const connect = tls && {
      ca: await file(tls.ca),
      cert: await file(tls.cert),
      key: await file(tls.key),
      passphrase: tls.passphrase?.reveal(),
      servername: tls.serverName,
    };
    const agent = new Agent({
      connections: 8,
      headersTimeout: config.timeout,
      bodyTimeout: config.timeout,
      ...(connect && { connect: connect as Agent.Options['connect'] }),
    });
    return new SourceHttp(config, agent);
  }

  /** @throws SourceAnswerError */
  async json(method: 'GET' | 'POST', path: string, body?: unknown): Promise<unknown> {
    const { bytes } = await this.#ask(method, path, maxJsonBytes, body);
    return JSON.parse(bytes.toString('utf8'));
  }

  /** @throws SourceAnswerError */
  async image(path: string): Promise<{ bytes: Buffer; type: string }> {
    return this.#ask('GET', path, maxImageBytes);
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  async #ask(method: 'GET' | 'POST', path: string, maxBytes: number, body?: unknown) {
    try {
      const answer = await request(this.#base + path, {
        method,
        dispatcher: this.#agent,
        headers: { ...this.#headers, ...(body !== undefined && { 'content-type': 'application/json' }) },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      const chunks: Buffer[] = [];
      let size = 0;
      for await (const chunk of answer.body as AsyncIterable<Buffer>) {
        size += chunk.length;
        if (size > maxBytes) throw new SourceAnswerError(`the answer is larger than ${maxBytes} bytes`);
        chunks.push(chunk);
      }
      if (answer.statusCode >= 300) throw new SourceAnswerError(`HTTP ${answer.statusCode}`, answer.statusCode);
      return { bytes: Buffer.concat(chunks), type: String(answer.headers['content-type'] ?? '') };
    } catch (error) {
      if (error instanceof SourceAnswerError) throw error;
      const { code } = error as NodeJS.ErrnoException;
      throw new SourceAnswerError(`no answer (${code ?? 'unknown'})`, undefined, { cause: error });
    }
  }
}
