import {
  compileSelection,
  DispatchError,
  ledgerVersion,
  selectInstances,
  type ManifestInstance,
  type StudyTags,
  type TargetConfig,
} from '@dicom-dispatch/core';
import { entryOf, type LedgerEntry } from '@dicom-dispatch/state/ledger';
import type { ReceiptEntry } from '@dicom-dispatch/state/receipts';
import type { DeliveryRecord } from '@dicom-dispatch/state/records';
import { templateTags } from '@dicom-dispatch/targets';
import type { ListedInstance, TargetHandler } from '@dicom-dispatch/target-kit';
import { ByteTally } from '../byte-tally.ts';
import type { DispatcherContext } from '../dispatcher-context.ts';

/** The expected content of a target for a study, according to the ledger. */
export interface ExpectedStudy {
  readonly study: StudyTags;
  /** The complete manifest; unconfirmed instances are included so that they are not reported as extra. */
  readonly instances: readonly ListedInstance[];
  /** By listed instance: the field of its confirmation in the ledger, and the confirmation. */
  readonly confirmed: ReadonlyMap<ListedInstance, Confirmed>;
}

export interface Confirmed {
  /** SOP Instance UID in the source. */
  readonly sopInstanceUid: string;
  /** Fields under which the instance may be in the ledger. */
  readonly names: readonly string[];
  readonly entry: LedgerEntry;
}

interface Expecting {
  readonly context: DispatcherContext;
  readonly record: DeliveryRecord;
  readonly config: TargetConfig;
  readonly handler: TargetHandler;
  readonly entries: ReadonlyMap<string, LedgerEntry>;
  readonly receipts: readonly ReceiptEntry[];
  readonly signal: AbortSignal;
}

/**
 * Reads the study from its source, like a delivery. If it is no longer there, the ledger and the receipts show what was
 * sent, provided that the target can be queried by UIDs alone.
 *
 * @returns undefined if the study was deleted, and the paths of its instances are therefore unknown
 */
export async function expectStudy(expecting: Expecting): Promise<ExpectedStudy | undefined> {
  try {
    return await fromSource(expecting);
  } catch (error) {
    if (!(error instanceof DispatchError) || error.code !== 'source-gone') throw error;
    return canDoByUids(expecting) ? fromReceipts(expecting) : undefined;
  }
}

async function fromSource({ context, record, config, entries, receipts, signal }: Expecting): Promise<ExpectedStudy> {
  const source = await context.sources.study(record, signal);
  const { tags, lastUpdate } = await source.readStudy(templateTags(config));
  const { instances: all } = await source.shareManifest(lastUpdate, 'shared');
  const selection = compileSelection(config.instances, record.selections);
  const { wanted } = selection;
  const instanceTags = wanted.length > 0 ? await source.readInstanceTags(wanted, all) : undefined;
  const transform = source.transform();
  const byName = new Map(receipts.map((one) => [receiptName(one), one]));
  const confirmed = new Map<ListedInstance, Confirmed>();
  const instances = selectInstances(all, tags, selection, instanceTags).map((original) => {
    const instance = { ...original, version: ledgerVersion(original.version, record) };
    const entry = entryOf(entries, instance);
    // The receipt of the confirmation in the ledger, not of an earlier one.
    const receipt = entry && byName.get(receiptName({ ...instance, at: entry.at }));
    // Without a receipt, an unchanged file has the same size as in the source.
    const sizeBytes = receipt?.sizeBytes ?? (transform ? undefined : instance.sizeBytes);
    const open = () => (transform ? transform.open(instance, { signal }) : source.open(instance, { signal }));
    const listed = listedInstance(transform?.show(instance) ?? instance, { sizeBytes, receipt, open });
    if (entry?.state === 'delivered') confirmed.set(listed, confirmedAs(instance, entry));
    return listed;
  });
  return { study: transform?.showStudy(tags) ?? tags, instances, confirmed };
}

const uidLayout = /^(?:[^{}]|\{(?:Study|Series|SOP)InstanceUID(?:#\d+)?\})*$/;

/** Whether the UIDs in the source are sufficient to query the target. */
function canDoByUids({ config, handler, record }: Expecting): boolean {
  if (record.transform) return false;
  if (handler.keyedBy === 'sop-instance-uid' || handler.type === 'orthanc') return true;
  const { layout, key } = config as { readonly layout?: unknown; readonly key?: unknown };
  const template = layout ?? key;
  return typeof template === 'string' && uidLayout.test(template);
}

/** Instances without a receipt are omitted: their series is unknown. */
function fromReceipts({ record, entries, receipts }: Expecting): ExpectedStudy {
  const { studyInstanceUid } = record;
  const confirmed = new Map<ListedInstance, Confirmed>();
  for (const [name, entry] of entries) {
    const [sopInstanceUid = '', series] = name.split('@');
    const receipt = receipts.find(
      (one) =>
        one.sopInstanceUid === sopInstanceUid &&
        one.at === entry.at &&
        (series ?? one.seriesInstanceUid) === one.seriesInstanceUid,
    );
    if (entry.state !== 'delivered' || !receipt) continue;
    const instance: ManifestInstance = {
      sopInstanceUid,
      seriesInstanceUid: receipt.seriesInstanceUid,
      studyInstanceUid,
      sopClassUid: undefined,
      transferSyntaxUid: undefined,
      instanceNumber: undefined,
      sizeBytes: receipt.sizeBytes ?? 0,
      sourceId: name,
      version: '',
    };
    const open = async () => {
      throw new DispatchError('source-gone', 'the source no longer has the study');
    };
    const listed = listedInstance(instance, { sizeBytes: receipt.sizeBytes, receipt, open });
    confirmed.set(listed, { sopInstanceUid, names: [name], entry });
  }
  const study = { studyInstanceUid, study: {}, series: new Map() };
  return { study, instances: [...confirmed.keys()], confirmed };
}

function confirmedAs({ sopInstanceUid, seriesInstanceUid }: ManifestInstance, entry: LedgerEntry): Confirmed {
  return { sopInstanceUid, names: [sopInstanceUid, `${sopInstanceUid}@${seriesInstanceUid}`], entry };
}

function receiptName({
  seriesInstanceUid,
  sopInstanceUid,
  at,
}: Pick<ReceiptEntry, 'seriesInstanceUid' | 'sopInstanceUid' | 'at'>): string {
  return `${seriesInstanceUid} ${sopInstanceUid} ${at}`;
}

function listedInstance(
  instance: ManifestInstance,
  known: {
    readonly sizeBytes: number | undefined;
    readonly receipt: ReceiptEntry | undefined;
    readonly open: ListedInstance['open'];
  },
): ListedInstance {
  const { sizeBytes, receipt, open } = known;
  return {
    instance,
    sizeBytes,
    answer: receipt?.answer,
    sentSha256: receipt?.sha256,
    open,
    async sha256() {
      if (receipt?.sha256 !== undefined) return receipt.sha256;
      return open().then(digestOf, () => undefined);
    },
  };
}

async function digestOf({
  body,
  releaseChunk,
}: Awaited<ReturnType<ListedInstance['open']>>): Promise<string | undefined> {
  const tally = new ByteTally('sha256');
  for await (const chunk of body) {
    tally.add(chunk, false);
    releaseChunk?.(chunk);
  }
  tally.end();
  return tally.result.sha256;
}
