import { createRequire } from 'node:module';

/** dcmjs brings no types: this is the little that is used of it. */
interface Dcmjs {
  readonly DicomDict: new (meta: Record<string, unknown>) => {
    dict: Record<string, unknown>;
    write(): ArrayBuffer;
  };
  readonly DicomMessage: {
    readFile(
      buffer: ArrayBuffer,
      options?: {
        readonly ignoreErrors?: boolean;
        readonly untilTag?: string;
        readonly includeUntilTagValue?: boolean;
      },
    ): { readonly dict: Record<string, unknown> };
  };
  readonly DicomMetaDictionary: {
    readonly nameMap: Readonly<Record<string, { readonly tag: string; readonly vr: string } | undefined>>;
    naturalizeDataset(dict: Record<string, unknown>): Record<string, unknown>;
    denaturalizeDataset(dataset: Record<string, unknown>): Record<string, unknown>;
  };
}

const require = createRequire(import.meta.url);

/** Loaded with the first data set: who only forwards instances never needs it, and it takes 8 MB of memory. */
export function dcmjsData(): Dcmjs {
  return (require('dcmjs') as { readonly data: Dcmjs }).data;
}
