import { itemsOf, jsonDataset, numberOf, textOf, type JsonDataset } from './dicom-json.ts';
import { parseNativeXml } from './native-xml.ts';

/** What the body of a STOW-RS answer says, instance by instance (PS3.18 section 10.5.3, table I.1-1). */
export interface StowOutcomes {
  /** Referenced SOP Sequence (0008,1199): SOP Instance UID to warning reason, if any. */
  readonly stored: ReadonlyMap<string, number | undefined>;
  /** Failed SOP Sequence (0008,1198): SOP Instance UID to failure reason, if any. */
  readonly failed: ReadonlyMap<string, number | undefined>;
  /** Failures that name no instance: Other Failures Sequence (0008,119A), items without a UID. */
  readonly nameless: readonly (number | undefined)[];
}

/** Undefined when the body is empty or neither DICOM JSON nor the Native DICOM Model in XML. */
export function readOutcomes(body: string): StowOutcomes | undefined {
  const text = body.trimStart();
  const dataset = text.startsWith('<') ? parseNativeXml(text) : parseJson(text);
  if (!dataset) return undefined;
  const stored = new Map<string, number | undefined>();
  const failed = new Map<string, number | undefined>();
  const nameless: (number | undefined)[] = [];
  for (const item of itemsOf(dataset, '00081199')) {
    const uid = textOf(item, '00081155');
    if (uid !== undefined) stored.set(uid, numberOf(item, '00081196'));
  }
  for (const item of itemsOf(dataset, '00081198')) {
    const uid = textOf(item, '00081155');
    const reason = numberOf(item, '00081197');
    if (uid === undefined) nameless.push(reason);
    else failed.set(uid, reason);
  }
  for (const item of itemsOf(dataset, '0008119A')) nameless.push(numberOf(item, '00081197'));
  return { stored, failed, nameless };
}

function parseJson(text: string): JsonDataset | undefined {
  if (text === '') return undefined;
  try {
    const json: unknown = JSON.parse(text);
    // Some servers answer with a list of one dataset.
    const parsed = jsonDataset.safeParse(Array.isArray(json) ? json[0] : json);
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}
