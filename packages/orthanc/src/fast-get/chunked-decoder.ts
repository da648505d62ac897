import { OrthancError } from '../orthanc-error.ts';
import type { CallName } from '../translate-error.ts';

const maxLineBytes = 4096;
const maxTrailerBytes = 64 * 1024;

/**
 * Decodes the chunked transfer coding (RFC 9112, section 7.1). State: `size` (a size line is being read), `data`
 * (bytes of a chunk), `data-end` (the line end after a chunk), `trailer` (fields after the last chunk) or `done`.
 */
export class ChunkedDecoder {
  #state: 'size' | 'data' | 'data-end' | 'trailer' | 'done' = 'size';
  #line = '';
  #remaining = 0;
  #trailerBytes = 0;
  readonly #call: CallName;

  constructor(call: CallName) {
    this.#call = call;
  }

  get done(): boolean {
    return this.#state === 'done';
  }

  /**
   * Passes the data in `bytes` to `emit`, as views into `bytes`; bytes after the last chunk are ignored.
   *
   * @throws OrthancError `protocol` for an invalid coding.
   */
  decode(bytes: Buffer, emit: (data: Buffer) => void): void {
    let at = 0;
    while (at < bytes.length && this.#state !== 'done') {
      if (this.#state === 'data') {
        const end = Math.min(bytes.length, at + this.#remaining);
        emit(bytes.subarray(at, end));
        this.#remaining -= end - at;
        at = end;
        if (this.#remaining === 0) this.#state = 'data-end';
        continue;
      }
      const newline = bytes.indexOf(0x0a, at);
      const end = newline === -1 ? bytes.length : newline + 1;
      this.#line += bytes.toString('latin1', at, end);
      if (this.#line.length > maxLineBytes) throw this.#broken();
      at = end;
      if (newline !== -1) this.#takeLine(this.#line.replace(/\r?\n$/, ''));
    }
  }

  #takeLine(line: string): void {
    this.#line = '';
    if (this.#state === 'data-end') {
      if (line !== '') throw this.#broken();
      this.#state = 'size';
    } else if (this.#state === 'trailer') {
      this.#trailerBytes += line.length;
      if (this.#trailerBytes > maxTrailerBytes) throw this.#broken();
      if (line === '') this.#state = 'done';
    } else {
      const size = /^([0-9a-fA-F]{1,12})[ \t]*(?:;|$)/.exec(line)?.[1];
      if (size === undefined) throw this.#broken();
      this.#remaining = Number.parseInt(size, 16);
      this.#state = this.#remaining === 0 ? 'trailer' : 'data';
    }
  }

  #broken(): OrthancError {
    const { method, path } = this.#call;
    return new OrthancError('protocol', `${method} ${path}: the chunked encoding of the answer is invalid`, this.#call);
  }
}
