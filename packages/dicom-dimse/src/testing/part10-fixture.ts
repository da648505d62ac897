import { encodeFileMeta } from '../part10/encode-file-meta.ts';
import { TRANSFER_SYNTAX } from '../uids.ts';

export const CT_IMAGE = '1.2.840.10008.5.1.4.1.1.2';

/** A Part 10 file whose data set has arbitrary bytes: no stage may parse them. */
export function opaqueFile(dataSetBytes: number, sopInstanceUid = '2.25.1'): { file: Buffer; dataSet: Buffer } {
  const dataSet = Buffer.alloc(dataSetBytes);
  for (let at = 0; at < dataSetBytes; at += 1) dataSet[at] = (at * 31 + (at >> 8)) & 0xff;
  const meta = encodeFileMeta({
    sopClassUid: CT_IMAGE,
    sopInstanceUid,
    transferSyntaxUid: TRANSFER_SYNTAX.explicitVrLittleEndian,
  });
  return { file: Buffer.concat([meta, dataSet]), dataSet };
}

export const CT_CONTEXT = {
  abstractSyntax: CT_IMAGE,
  transferSyntaxes: [TRANSFER_SYNTAX.explicitVrLittleEndian],
} as const;

export const AE_TITLES = { callingAeTitle: 'TEST_SCU', calledAeTitle: 'TEST_SCP' } as const;
