import { createRequire } from 'node:module';
import { DimseError } from '../errors/dimse-error.ts';

/** dcmjs has no types: these are the parts of it that are used. */
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

/**
 * Loaded with the first data set: not needed to forward instances, and it takes 8 MB of memory.
 *
 * @throws DimseError `invalid-argument` if dcmjs, an optional dependency, is not installed
 */
export function dcmjsData(): Dcmjs {
  try {
    return (require('dcmjs') as { readonly data: Dcmjs }).data;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error;
    const text = 'data sets are read and written with dcmjs, which is not installed: npm install dcmjs';
    throw new DimseError('invalid-argument', text, { cause: error });
  }
}
