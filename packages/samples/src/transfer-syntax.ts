/** The transfer syntaxes that the samples can be written in (PS3.5 section 10 and Annex A). */
export const transferSyntaxes = {
  'implicit-le': '1.2.840.10008.1.2',
  'explicit-le': '1.2.840.10008.1.2.1',
  deflated: '1.2.840.10008.1.2.1.99',
  'explicit-be': '1.2.840.10008.1.2.2',
  rle: '1.2.840.10008.1.2.5',
} as const;

export type TransferSyntax = keyof typeof transferSyntaxes;
