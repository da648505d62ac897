// @ts-expect-error dcmjs brings no types: the little that is used of it is described below
import * as dcmjs from 'dcmjs';

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
    naturalizeDataset(dict: Record<string, unknown>): Record<string, unknown>;
    denaturalizeDataset(dataset: Record<string, unknown>): Record<string, unknown>;
  };
}

export const data = (dcmjs as { readonly data: Dcmjs }).data;
