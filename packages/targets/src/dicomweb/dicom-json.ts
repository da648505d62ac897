import { z } from 'zod';

/** One attribute in the DICOM JSON Model (PS3.18 annex F.2.2), as far as answers need it. */
export interface JsonAttribute {
  readonly vr?: string | undefined;
  readonly Value?: readonly unknown[] | undefined;
}

/** Tag, eight hexadecimal digits, to attribute. */
export type JsonDataset = Readonly<Record<string, JsonAttribute>>;

const attribute = z.object({
  vr: z.string().optional(),
  Value: z
    .array(z.unknown())
    .nullish()
    .transform((v) => v ?? undefined),
});
export const jsonDataset = z.record(z.string(), attribute);
export const jsonDatasets = z.array(jsonDataset);

/** The first value as text; of a person name the alphabetic, else another group (PS3.18 section F.2.2). */
export function textOf(dataset: JsonDataset, tag: string): string | undefined {
  const values = dataset[tag]?.Value;
  return values?.map(plain).join('\\') || undefined;
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

/** The first value as a whole number. */
export function numberOf(dataset: JsonDataset, tag: string): number | undefined {
  const number = Number(textOf(dataset, tag) ?? Number.NaN);
  return Number.isSafeInteger(number) ? number : undefined;
}

/** The items of a sequence; what is no item is left out. */
export function itemsOf(dataset: JsonDataset, tag: string): JsonDataset[] {
  const items: JsonDataset[] = [];
  for (const value of dataset[tag]?.Value ?? []) {
    const item = jsonDataset.safeParse(value);
    if (item.success) items.push(item.data);
  }
  return items;
}
