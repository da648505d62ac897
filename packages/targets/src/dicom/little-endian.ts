import { TRANSFER_SYNTAX } from 'dicom-dimse';

/** For data sets of our own: queries, identifiers, requests (PS3.5 section 10.1). */
export const littleEndian = [TRANSFER_SYNTAX.explicitVrLittleEndian, TRANSFER_SYNTAX.implicitVrLittleEndian] as const;
