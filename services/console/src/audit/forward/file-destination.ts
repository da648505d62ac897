import { redisKeys } from '@dicom-dispatch/state/keys';
import type { ConsoleContext } from '../../console-context.ts';
import { decodeEntry } from '../audit-log.ts';
import { decodeRefused } from '../refused-events.ts';
import type { Cursors } from './cursors.ts';
import { appendLines } from './file-sink.ts';

const name = 'file';
const batch = 500;

/** Writes entries of the audit log, and rejections, to a file: in the format of `/api/audit/export`, with `stream`. */
export class FileDestination {
  readonly #context: ConsoleContext;
  readonly #cursors: Cursors;

  constructor(context: ConsoleContext, cursors: Cursors) {
    this.#context = context;
    this.#cursors = cursors;
  }

  /** @throws the error that prevents the writing of entries */
  async forward(path: string): Promise<void> {
    const { redis } = this.#context;
    const keys = redisKeys(this.#context.config().redis.prefix);
    for (const [stream, key, decode] of [
      ['audit', keys.audit, decodeEntry],
      ['refused', keys.refused, decodeRefused],
    ] as const) {
      for (;;) {
        const entries = await redis.xrange(key, `(${await this.#cursors.get(name, key)}`, '+', 'COUNT', batch);
        const last = entries.at(-1);
        if (!last) break;
        const lines = entries.map(([id, flat]) => {
          const entry = decode(id, flat);
          return JSON.stringify({ stream, ...entry, at: new Date(entry.at).toISOString() });
        });
        await appendLines(path, lines);
        await this.#cursors.set(name, new Map([[key, last[0]]]));
      }
    }
  }
}
