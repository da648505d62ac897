import { DispatchError, ledgerKeyOf, type TargetConfig } from '@dicom-dispatch/core';
import type { ReadConfirmation } from '@dicom-dispatch/state/ledger';
import type { ReceiptEntry } from '@dicom-dispatch/state/receipts';
import type { DeliveryRecord } from '@dicom-dispatch/state/records';
import { noCounts, type AuditCounts, type AuditFinding } from '@dicom-dispatch/state/target-audits';
import type { Inventory, ListedInstance, TargetHandler } from '@dicom-dispatch/target-kit';
import type { DispatcherContext } from '../dispatcher-context.ts';
import { expectStudy, type Confirmed } from './expected-study.ts';

export interface AuditingStudy {
  readonly context: DispatcherContext;
  /** The latest delivery of the study in its shape. */
  readonly record: DeliveryRecord;
  readonly config: TargetConfig;
  readonly handler: TargetHandler;
  /** Ledger of the current place of the target. */
  readonly ledger: string;
  readonly inventory: Inventory;
  readonly content: boolean;
  readonly signal: AbortSignal;
}

export interface AuditedStudy {
  readonly counts: Omit<AuditCounts, 'requests'>;
  readonly finding: Omit<AuditFinding, 'auditId' | 'at'> | undefined;
  /** Confirmations that proved false: to be removed before the instances are sent again. */
  readonly wrong: readonly ReadConfirmation[];
  /** Why contents were not compared, with the number of instances. */
  readonly uncomparedWhy: Readonly<Record<string, number>>;
}

/** Maximum number of names in a finding. */
const maxNamed = 200;
const maxDetail = 300;

/**
 * Compares the current content of the target for a study with its confirmations. Confirmations that are added or removed
 * meanwhile are not evaluated.
 *
 * @throws DispatchError if the target or the source cannot be queried
 */
export async function auditStudy(auditing: AuditingStudy): Promise<AuditedStudy> {
  const { context, record, config, handler, ledger, inventory, content, signal } = auditing;
  const key = ledgerKeyOf({ ...record, ledger });
  const entries = await context.ledger.entries(key);
  const count = [...entries.values()].filter(({ state }) => state === 'delivered').length;
  if (count === 0) return nothing(noCounts);
  const receipts = await receiptsOf(auditing);
  const expected = await expectStudy({ context, record, config, handler, entries, receipts, signal });
  if (!expected) return nothing({ ...noCounts, studies: 1, instances: count, unread: count });

  const missing = new Map(expected.confirmed);
  const different = new Map<ListedInstance, Confirmed>();
  const details = new Map<Confirmed, string>();
  const uncomparedWhy: Record<string, number> = {};
  const extra: string[] = [];
  let unread = Math.max(0, count - expected.confirmed.size);
  let compared = 0;
  for await (const holding of inventory.list({ study: expected.study, instances: expected.instances, content })) {
    signal.throwIfAborted();
    if (holding.kind === 'extra') {
      extra.push(holding.name);
      continue;
    }
    const { instance } = holding;
    const confirmed = expected.confirmed.get(instance);
    missing.delete(instance);
    if (!confirmed) continue;
    if (holding.kind === 'unread') {
      unread += 1;
      continue;
    }
    const { sizeBytes, content: likeness, detail } = holding;
    const isOtherSize = sizeBytes !== undefined && instance.sizeBytes !== undefined && sizeBytes !== instance.sizeBytes;
    if (likeness !== undefined) compared += 1;
    if (isOtherSize || likeness === 'different') {
      different.set(instance, confirmed);
      const size = `has ${sizeBytes} bytes instead of ${instance.sizeBytes}`;
      const what = detail ?? (isOtherSize ? size : 'differs in content');
      details.set(confirmed, `${what}${confirmedBefore(confirmed, receipts)}`.slice(0, maxDetail));
    } else if (content && likeness === undefined) {
      const why = (detail ?? 'what was sent is no longer known').slice(0, maxDetail);
      uncomparedWhy[why] = (uncomparedWhy[why] ?? 0) + 1;
    }
  }
  const after = missing.size + different.size === 0 ? entries : await context.ledger.entries(key);
  const still = (all: ReadonlyMap<ListedInstance, Confirmed>): Confirmed[] =>
    [...all.values()].filter(({ names, entry }) =>
      names.some((name) => {
        const now = after.get(name);
        return now?.state === 'delivered' && now.at === entry.at && now.versionHash === entry.versionHash;
      }),
    );
  const [lacking, altered, others] = [still(missing), still(different), await notOurs(auditing, extra, entries)];
  const counts = {
    studies: 1,
    instances: count,
    compared,
    uncompared: Object.values(uncomparedWhy).reduce((sum, some) => sum + some, 0),
    missing: lacking.length,
    different: altered.length,
    extra: others.length,
    unread,
  };
  const isFine = lacking.length + altered.length + others.length === 0;
  const { source, orthancStudyId, studyInstanceUid, deliveryId } = record;
  const finding = {
    source,
    orthancStudyId,
    studyInstanceUid,
    deliveryId,
    missing: lacking.slice(0, maxNamed).map(({ sopInstanceUid }) => sopInstanceUid),
    missingCount: lacking.length,
    different: altered.slice(0, maxNamed).map(({ sopInstanceUid }) => sopInstanceUid),
    differentCount: altered.length,
    details: Object.fromEntries(
      altered.slice(0, maxNamed).map((one) => [one.sopInstanceUid, details.get(one) ?? 'differs in content']),
    ),
    extra: others.slice(0, maxNamed),
    extraCount: others.length,
  };
  const wrong = [...lacking, ...altered].flatMap(({ names, entry: { versionHash, at } }) =>
    names.map((name) => ({ name, versionHash, at })),
  );
  return { counts, finding: isFine ? undefined : finding, wrong, uncomparedWhy };
}

function nothing(counts: AuditedStudy['counts']): AuditedStudy {
  return { counts, finding: undefined, wrong: [], uncomparedWhy: {} };
}

/** Text if the target confirmed the same bytes several times and nevertheless has others: it keeps its own version. */
function confirmedBefore({ sopInstanceUid, entry }: Confirmed, receipts: readonly ReceiptEntry[]): string {
  const own = receipts.filter((one) => one.sopInstanceUid === sopInstanceUid && one.sha256 !== undefined);
  const last = own.find(({ at }) => at === entry.at);
  const times = own.filter(
    (one) => last && one.sha256 === last.sha256 && one.seriesInstanceUid === last.seriesInstanceUid,
  );
  return times.length > 1 ? `; the target confirmed what was sent ${times.length} times` : '';
}

/** Receipts of all deliveries of the study in this shape, newest first. */
async function receiptsOf({ context, record }: AuditingStudy): Promise<ReceiptEntry[]> {
  const shape = ledgerKeyOf(record).target;
  const deliveries = await context.records.deliveriesOf(record);
  const same = deliveries.filter((one) => ledgerKeyOf(one).target === shape);
  return (await Promise.all(same.map(({ deliveryId }) => context.receipts().read(deliveryId)))).flat();
}

/**
 * Names of instances that were not sent with this study; none if several studies have its Study Instance UID, because these
 * may have sent them. The ledger also contains instances that have left the source since.
 */
async function notOurs(
  { context, record }: AuditingStudy,
  names: readonly string[],
  entries: ReadonlyMap<string, unknown>,
): Promise<string[]> {
  if (names.length === 0) return [];
  if ((await context.records.studiesOfUid(record.studyInstanceUid)).length > 1) return [];
  const known = new Set([...entries.keys()].map((name) => name.split('@')[0]));
  return names.filter((name) => !known.has(name));
}

/** Whether the target cannot be queried now, or only after a change of the configuration. */
export function stopsAudit(error: unknown): boolean {
  if (!(error instanceof DispatchError)) return true;
  const { fault, disposition, code } = error;
  return disposition === 'wait' || disposition === 'halt' || fault === 'internal' || code === 'source-unreachable';
}
