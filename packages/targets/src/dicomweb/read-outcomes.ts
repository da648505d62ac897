import { itemsOf, jsonDataset, numberOf, parseJson, uidOf, type JsonDataset } from './dicom-json.ts';
import { parseNativeXml } from './native-xml.ts';

/** Item of the Referenced SOP Sequence (0008,1199): an instance that was stored. */
export interface StoredItem {
  /** Referenced SOP Class UID (0008,1150). */
  readonly sopClassUid: string | undefined;
  /** Warning Reason (0008,1196). */
  readonly warning: number | undefined;
}

/** A Store Instances Response (PS3.18 table 10.5.3-2), by SOP Instance UID. */
export interface StowOutcomes {
  readonly stored: ReadonlyMap<string, StoredItem>;
  /** Failed SOP Sequence (0008,1198): Failure Reason (0008,1197) of each instance, if any. */
  readonly failed: ReadonlyMap<string, number | undefined>;
  /** Failure Reasons without an instance: Other Failures Sequence (0008,119A), and items of the Failed SOP Sequence without a UID. */
  readonly nameless: readonly (number | undefined)[];
}

/** The response: the one that the Standard requires, none, or another one. */
export type StowContent =
  | { readonly kind: 'response'; readonly outcomes: StowOutcomes }
  | { readonly kind: 'empty' }
  | { readonly kind: 'foreign'; readonly what: string };

const failedSequence = '00081198';
const storedSequence = '00081199';
const otherFailures = '0008119A';

/** The media types of the Standard (PS3.18 table 8.7.3-5), and those of earlier editions. */
const jsonTypes: ReadonlySet<string> = new Set(['application/dicom+json', 'application/json']);
const xmlTypes: ReadonlySet<string> = new Set(['application/dicom+xml', 'application/xml', 'text/xml']);

/** Parses the body of a STOW-RS response, as the media type that its header announces. */
export function readContent(mediaType: string, body: string): StowContent {
  if (body.trim() === '') return { kind: 'empty' };
  const name = /^[\w.+-]{1,60}\/[\w.+-]{1,60}$/.test(mediaType) ? mediaType : 'content of an unknown type';
  const isJson = jsonTypes.has(mediaType);
  if (!isJson && !xmlTypes.has(mediaType)) return { kind: 'foreign', what: name };
  const dataset = isJson ? onlyDataset(parseJson(body)) : parseNativeXml(body.trimStart());
  const isResponse = dataset && [failedSequence, storedSequence, otherFailures].some((tag) => isSequence(dataset, tag));
  if (!isResponse) return { kind: 'foreign', what: `${name} without a Referenced or Failed SOP Sequence` };
  return { kind: 'response', outcomes: outcomesOf(dataset) };
}

/** Some servers return a list of one data set. */
function onlyDataset(json: unknown): JsonDataset | undefined {
  if (!Array.isArray(json)) return jsonDataset(json);
  return json.length === 1 ? jsonDataset(json[0]) : undefined;
}

function isSequence(dataset: JsonDataset, tag: string): boolean {
  const attribute = dataset[tag];
  return attribute !== undefined && (attribute.vr === 'SQ' || attribute.Value !== undefined);
}

function outcomesOf(dataset: JsonDataset): StowOutcomes {
  const stored = new Map<string, StoredItem>();
  const failed = new Map<string, number | undefined>();
  const nameless: (number | undefined)[] = [];
  for (const item of itemsOf(dataset, storedSequence)) {
    const uid = uidOf(item, '00081155');
    if (uid === undefined) continue;
    const warning = numberOf(item, '00081196') || undefined;
    stored.set(uid, { sopClassUid: uidOf(item, '00081150'), warning: warning ?? stored.get(uid)?.warning });
    // Some services list failures among the stored instances.
    const reason = numberOf(item, '00081197');
    if (reason) failed.set(uid, reason);
  }
  for (const item of itemsOf(dataset, failedSequence)) {
    const uid = uidOf(item, '00081155');
    const reason = numberOf(item, '00081197');
    if (uid === undefined) nameless.push(reason);
    else failed.set(uid, reason);
  }
  for (const item of itemsOf(dataset, otherFailures)) nameless.push(numberOf(item, '00081197'));
  return { stored, failed, nameless };
}
