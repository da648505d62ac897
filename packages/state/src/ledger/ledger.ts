import { defaultPrefix } from '@dicom-dispatch/core';
import { redisKeys } from '../keys/redis-keys.ts';
import { encodeEntry as encodeReceiptEntry } from '../receipts/entry-text.ts';
import type { RedisClient } from '../redis/redis-client.ts';
import { withDeadline } from '../redis/with-deadline.ts';
import { compareWithLedger, type LedgerComparison } from './compare-with-ledger.ts';
import { copyHash, decodeField, encodeField, encodeNote, encodeValue, versionHash } from './entry-codec.ts';
import { entriesOf, foldLedger, readStored, unfoldLedger } from './fold.ts';
import { ledgerKeys, shardOf } from './ledger-keys.ts';
import { clearQuarantineScript, takeBackScript } from './ledger-scripts.ts';
import type {
  Confirmation,
  Fence,
  InstanceName,
  InstanceVersion,
  LedgerEntry,
  LedgerKey,
  LedgerSummary,
  Quarantine,
  ReadConfirmation,
} from './ledger-types.ts';
import { asLedgerError, WriteBatch } from './write-batch.ts';

export interface LedgerOptions {
  /** First part of every key, with one hash tag. Default `{dicom-dispatch}`. */
  readonly prefix?: string;
  /** After this time without a response of Redis, the attempt fails. Default 10,000 ms. */
  readonly timeoutMs?: number;
}

/**
 * The instances that each target has confirmed, stored in Redis until the study is removed. Every method throws
 * DispatchError `ledger-unavailable` if Redis fails or does not respond. A write with a fence throws `lock-lost`, and writes
 * nothing, if another worker has the lock of the delivery. A write is complete when its promise resolves.
 */
export interface Ledger {
  /** By the name of each instance (`instanceKey`): its SOP Instance UID, or `UID@SERIES` if several series have it. */
  entries(key: LedgerKey): Promise<Map<string, LedgerEntry>>;
  /** Divides a manifest into pending, delivered and quarantined instances. */
  compare<T extends InstanceVersion>(key: LedgerKey, instances: readonly T[]): Promise<LedgerComparison<T>>;
  /** Instances that the target has not confirmed in this version, including quarantined ones. */
  pending<T extends InstanceVersion>(key: LedgerKey, instances: readonly T[]): Promise<T[]>;
  /** Records what the target has confirmed; replaces existing entries of these instances. */
  confirm(key: LedgerKey, entries: readonly Confirmation[], fence?: Fence): Promise<void>;
  quarantine(key: LedgerKey, entry: Quarantine, fence?: Fence): Promise<void>;
  /** Makes quarantined instances (all, or the named ones) pending again. @returns their number */
  clearQuarantine(key: LedgerKey, instances?: readonly InstanceName[]): Promise<number>;
  /** Removes a confirmation that proved false. */
  revoke(key: LedgerKey, instance: InstanceVersion, fence?: Fence): Promise<void>;
  /**
   * Removes confirmations that an audit has shown to be false, each only if it has not changed since it was read: a
   * newer one is preserved. @returns their number
   */
  takeBack(key: LedgerKey, confirmations: readonly ReadConfirmation[]): Promise<number>;
  /**
   * Folds confirmed entries into one small value. Call it when a delivery is complete; it is safe at any time. The
   * content does not change. Later writes take precedence over it.
   *
   * @param instances - with the confirmed versions; for `fileUuid` see `foldLedger`
   */
  fold(key: LedgerKey, instances: readonly InstanceVersion[]): Promise<void>;
  /** Removes all entries: the complete study would be sent again. */
  forget(key: LedgerKey): Promise<void>;
  summary(key: LedgerKey): Promise<LedgerSummary>;
}

export function createLedger(redis: RedisClient, options: LedgerOptions = {}): Ledger {
  const { prefix = defaultPrefix, timeoutMs = 10_000 } = options;
  const batch = new WriteBatch(redis, timeoutMs, (keys) => unfoldLedger(redis, keys));

  async function ask<T>(answer: Promise<T>): Promise<T> {
    try {
      return await withDeadline(answer, timeoutMs);
    } catch (error) {
      throw asLedgerError(error);
    }
  }

  function write(key: LedgerKey, deliveryId: string, fence: Fence | undefined, outcomes: readonly Written[]) {
    return batch.add(
      [...ledgerKeys(prefix, key), redisKeys(prefix).receiptOpen(deliveryId)],
      fence,
      outcomes.map(([instance, value, note, receipt = '']) => {
        const field = encodeField(key.studyInstanceUid, instance);
        return [shardOf(field), field, value, note, receipt] as const;
      }),
    );
  }

  async function entries(key: LedgerKey): Promise<Map<string, LedgerEntry>> {
    const stored = await ask(readStored(redis, ledgerKeys(prefix, key)));
    const found = new Map<string, LedgerEntry>();
    for (const [field, entry] of entriesOf(stored)) found.set(decodeField(key.studyInstanceUid, field), entry);
    return found;
  }

  async function compare<T extends InstanceVersion>(key: LedgerKey, instances: readonly T[]) {
    return compareWithLedger(await entries(key), instances);
  }

  return {
    entries,
    compare,
    async pending(key, instances) {
      const { delivered } = await compare(key, instances);
      const done = new Set(delivered);
      return instances.filter((instance) => !done.has(instance));
    },
    async confirm(key, confirmations, fence) {
      const byDelivery = Map.groupBy(confirmations, ({ deliveryId }) => deliveryId);
      await Promise.all(
        Array.from(byDelivery, ([deliveryId, entries]) => write(key, deliveryId, fence, entries.map(confirmed))),
      );
    },
    quarantine: (key, entry, fence) =>
      write(key, entry.deliveryId, fence, [[entry, encodeValue('quarantined', entry), encodeNote(entry.error)]]),
    async clearQuarantine(key, instances) {
      if (instances?.length === 0) return 0;
      const fields = (instances ?? []).map((instance) => encodeField(key.studyInstanceUid, instance));
      return Number(await ask(clearQuarantineScript.run(redis, ledgerKeys(prefix, key), fields)));
    },
    // The receipt preserves the confirmation: the ledger shows that it is no longer valid.
    revoke: (key, instance, fence) => write(key, '', fence, fieldsOf(instance)),
    async takeBack(key, confirmations) {
      const args = confirmations.flatMap(({ name, versionHash: hash, at }) => {
        const field = encodeField(key.studyInstanceUid, nameOf(name));
        return [shardOf(field), field, hash, at.toString(36)];
      });
      if (args.length === 0) return 0;
      const keys = ledgerKeys(prefix, key);
      for (;;) {
        const count = Number(await ask(takeBackScript.run(redis, keys, args)));
        if (count >= 0) return count;
        await ask(unfoldLedger(redis, keys));
      }
    },
    fold: (key, instances) => ask(foldLedger(redis, ledgerKeys(prefix, key), key.studyInstanceUid, instances)),
    async forget(key) {
      await ask(redis.unlink(ledgerKeys(prefix, key)));
    },
    async summary(key) {
      const all = [...(await entries(key)).values()];
      const delivered = all.filter(({ state }) => state === 'delivered').length;
      return { delivered, quarantined: all.length - delivered };
    },
  };
}

/** The instance with a name of `instanceKey`. */
function nameOf(name: string): InstanceName {
  const [sopInstanceUid = '', seriesInstanceUid] = name.split('@');
  if (seriesInstanceUid === undefined) return { sopInstanceUid };
  return { sopInstanceUid, seriesInstanceUid, sharesSopInstanceUid: true };
}

type Written = readonly [instance: InstanceName, value: string, note: string, receipt?: string];

function confirmed(entry: Confirmation): Written {
  const receipt = entry.receipt ? encodeReceiptEntry(entry.receipt) : '';
  return [entry, encodeValue('delivered', entry), encodeNote(entry.warning), receipt];
}

/** All fields that may confirm an instance: it may have been confirmed before another series had its SOP Instance UID. */
function fieldsOf(instance: InstanceVersion): Written[] {
  const { sopInstanceUid, seriesInstanceUid, sharesSopInstanceUid, version } = instance;
  if (seriesInstanceUid === undefined) return [[instance, '', '']];
  const hashes = new Set([versionHash(version, seriesInstanceUid), copyHash(instance)]);
  const own = sharesSopInstanceUid === true ? Array.from(hashes, (hash) => `-${hash}`) : [''];
  return [
    ...own.map((value): Written => [{ sopInstanceUid }, value, '']),
    [{ sopInstanceUid, seriesInstanceUid, sharesSopInstanceUid: true }, '', ''],
  ];
}
