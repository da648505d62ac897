/** The little of dcmjs that is used here; it brings no types of its own. */
declare module 'dcmjs' {
  export const data: {
    readonly DicomDict: new (meta: Record<string, unknown>) => {
      dict: Record<string, unknown>;
      write(): ArrayBuffer;
    };
    readonly DicomMessage: {
      readFile(
        buffer: ArrayBuffer,
        options?: { readonly ignoreErrors?: boolean },
      ): { readonly dict: Record<string, unknown> };
    };
    readonly DicomMetaDictionary: {
      naturalizeDataset(dict: Record<string, unknown>): Record<string, unknown>;
      denaturalizeDataset(dataset: Record<string, unknown>): Record<string, unknown>;
    };
  };
}
