import { redisKeys } from '@dicom-dispatch/state/keys';
import type { Records } from '@dicom-dispatch/state/records';
import { DispatchError } from '@dicom-dispatch/core';
import type { Mailbox } from '@dicom-dispatch/target-kit';
import type { Logger, Redis } from '@dicom-dispatch/runtime';

const keepMs = 30 * 86_400_000;
const keepClosedMs = 7 * 86_400_000;
const maxNoticeLength = 2_000;

export interface MailboxOptions {
  readonly redis: Redis;
  readonly prefix: string;
  readonly records: Pick<Records, 'delivery' | 'change'>;
  readonly log: Pick<Logger, 'warn'>;
}

/**
 * Messages for any dispatcher that waits for them. A key has an empty text while a message is expected, then the message.
 * Facts about a message that was read have a separate key.
 */
export function redisMailbox({ redis, prefix, records, log }: MailboxOptions): Mailbox {
  const keyOf = (name: string): string => redisKeys(prefix).mail(name);
  const closedKeyOf = (name: string): string => keyOf(`${name}:closed`);
  return {
    async expect(name) {
      await run(() => redis.set(keyOf(name), '', 'PX', keepMs, 'NX'));
    },
    async leave(name, message) {
      return (await run(() => redis.set(keyOf(name), JSON.stringify(message), 'PX', keepMs, 'XX'))) === 'OK';
    },
    async look<T>(name: string) {
      return read<T>(await run(() => redis.get(keyOf(name))));
    },
    async forget(name) {
      await run(() => redis.unlink(keyOf(name)));
    },
    async close<T>(name: string, facts: unknown) {
      const closing = redis.multi();
      closing.set(closedKeyOf(name), JSON.stringify(facts), 'PX', keepClosedMs).get(keyOf(name)).unlink(keyOf(name));
      const answers = await run(async () => closing.exec());
      return read<T>(answers?.[1]?.[1] as string | null);
    },
    async closed<T>(name: string) {
      return read<T>(await run(() => redis.get(closedKeyOf(name))));
    },
    async doubt(deliveryId, text) {
      const before = (await records.delivery(deliveryId))?.notice;
      const kept = before?.slice(0, Math.max(0, maxNoticeLength - text.length - 1));
      const notice = kept ? `${kept} ${text}` : text;
      const event = { kind: 'noticed', text } as const;
      const { kind } = await records.change(deliveryId, { patch: { notice, mayBeLost: true }, event });
      if (kind === 'done') log.warn({ delivery: deliveryId, notice: text }, 'the target may lack confirmed instances');
    },
  };
}

function read<T>(text: string | null): T | undefined {
  return text === null || text === '' ? undefined : (JSON.parse(text) as T);
}

async function run<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw new DispatchError('ledger-unavailable', 'Redis did not answer for a message between dispatchers', {
      cause: error,
    });
  }
}
