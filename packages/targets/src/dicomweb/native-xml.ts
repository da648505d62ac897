import { XMLParser } from 'fast-xml-parser';
import { z } from 'zod';
import type { JsonAttribute, JsonDataset } from './dicom-json.ts';

/** An element as the parser returns it: XML attributes begin with `@`; values and items are always lists. */
const element: z.ZodType<XmlAttribute> = z.object({
  '@tag': z.string().regex(/^[0-9A-Fa-f]{8}$/),
  '@vr': z.string().optional(),
  Value: z.array(z.unknown()).optional(),
  Item: z.array(z.unknown()).optional(),
});
const holder = z.object({ DicomAttribute: z.array(z.unknown()).optional() });
const document = z.object({ NativeDicomModel: z.union([holder, z.literal('')]) });

interface XmlAttribute {
  readonly '@tag': string;
  readonly '@vr'?: string | undefined;
  readonly Value?: readonly unknown[] | undefined;
  readonly Item?: readonly unknown[] | undefined;
}

const deepest = 8;

/**
 * Parses the Native DICOM Model (PS3.19 section A.1) of a short response into the same form as DICOM JSON. Undefined if the text is
 * something else.
 */
export function parseNativeXml(xml: string): JsonDataset | undefined {
  const parser = new XMLParser({
    ignoreAttributes: false,
    attributeNamePrefix: '@',
    removeNSPrefix: true,
    parseTagValue: false,
    parseAttributeValue: false,
    isArray: (name, _path, _leaf, isAttribute) => !isAttribute && ['DicomAttribute', 'Value', 'Item'].includes(name),
  });
  try {
    const parsed = document.safeParse(parser.parse(xml, true));
    if (!parsed.success) return undefined;
    const { NativeDicomModel: model } = parsed.data;
    return model === '' ? {} : datasetOf(model.DicomAttribute ?? [], 0);
  } catch {
    return undefined;
  }
}

function datasetOf(attributes: readonly unknown[], depth: number): JsonDataset {
  const dataset: Record<string, JsonAttribute> = {};
  if (depth > deepest) return dataset;
  for (const one of attributes) {
    const parsed = element.safeParse(one);
    if (!parsed.success) continue;
    const { '@tag': tag, '@vr': vr, Value: values = [], Item: items = [] } = parsed.data;
    const nested = items.map((item) => {
      const held = holder.safeParse(item);
      return datasetOf(held.success ? (held.data.DicomAttribute ?? []) : [], depth + 1);
    });
    dataset[tag.toUpperCase()] = { vr, Value: vr === 'SQ' ? nested : values.map(textOf) };
  }
  return dataset;
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'object' && value !== null && '#text' in value) return String(value['#text']);
  return '';
}
