import { createRequire } from 'node:module';

/** dcmjs brings no types: this is the little that is used of it. */
interface Dcmjs {
  readonly DicomDict: new (meta: Record<string, unknown>) => {
    dict: Record<string, unknown>;
    write(): ArrayBuffer;
  };
  readonly DicomMetaDictionary: {
    /** By `(GGGG,EEEE)`. */
    readonly dictionary: Readonly<Record<string, { readonly name: string; readonly vr: string } | undefined>>;
    readonly nameMap: Readonly<Record<string, { readonly tag: string; readonly vr: string } | undefined>>;
    denaturalizeDataset(dataset: Record<string, unknown>): Record<string, unknown>;
  };
}

const require = createRequire(import.meta.url);

/** Loaded with the first data set: who only forwards instances never needs it, and it takes 8 MB of memory. */
export function dcmjsData(): Dcmjs {
  return (require('dcmjs') as { readonly data: Dcmjs }).data;
}
