/** One attribute in the DICOM JSON Model (PS3.18 annex F.2.2), as far as responses need it. */
export interface JsonAttribute {
  readonly vr?: string | undefined;
  readonly Value?: readonly unknown[] | undefined;
}

/** Attributes by tag (eight hexadecimal digits). */
export type JsonDataset = Readonly<Record<string, JsonAttribute>>;

/** A data set of a response, without invalid attributes; undefined if it is not an object. */
export function jsonDataset(value: unknown): JsonDataset | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const dataset: Record<string, JsonAttribute> = {};
  for (const [tag, given] of Object.entries(value)) {
    const attribute: unknown = given;
    if (!/^[0-9A-Fa-f]{8}$/.test(tag) || typeof attribute !== 'object' || attribute === null) continue;
    const { vr, Value: values } = attribute as { vr?: unknown; Value?: unknown };
    dataset[tag.toUpperCase()] = {
      ...(typeof vr === 'string' && { vr }),
      ...(Array.isArray(values) && { Value: values }),
    };
  }
  return dataset;
}

/** The data sets of a list, without invalid entries. */
export function jsonDatasets(values: readonly unknown[]): JsonDataset[] {
  return values.map(jsonDataset).filter((dataset) => dataset !== undefined);
}

/** The values as text, separated by backslashes; of a person name one group, the alphabetic one if it exists (PS3.18 section F.2.2). */
export function textOf(dataset: JsonDataset, tag: string): string | undefined {
  const values = dataset[tag]?.Value;
  return values?.map(plain).join('\\') || undefined;
}

/** The first value as a UID, without its padding (PS3.5 section 9.1), which some servers do not remove. */
export function uidOf(dataset: JsonDataset, tag: string): string | undefined {
  const [first] = dataset[tag]?.Value ?? [];
  return typeof first === 'string' ? first.replace(/[\0 ]+$/, '') || undefined : undefined;
}

function plain(value: unknown): string {
  if (typeof value === 'string' || typeof value === 'number') return String(value);
  if (typeof value === 'object' && value !== null) {
    for (const group of ['Alphabetic', 'Ideographic', 'Phonetic']) {
      const text: unknown = Reflect.get(value, group);
      if (typeof text === 'string' && text !== '') return text;
    }
  }
  return '';
}

/** The value as an integer; undefined if it is not one, or if there are several values. */
export function numberOf(dataset: JsonDataset, tag: string): number | undefined {
  const number = Number(textOf(dataset, tag) ?? Number.NaN);
  return Number.isSafeInteger(number) ? number : undefined;
}

/** The items of a sequence, without invalid entries. */
export function itemsOf(dataset: JsonDataset, tag: string): JsonDataset[] {
  return jsonDatasets(dataset[tag]?.Value ?? []);
}

/** JSON, or undefined if the text is not JSON. Some servers begin with a byte order mark. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text.trim());
  } catch {
    return undefined;
  }
}
