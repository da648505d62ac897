/** UIDs that the protocol itself needs: PS3.6 annex A. */
export const UID = {
  applicationContext: '1.2.840.10008.3.1.1.1',
  verification: '1.2.840.10008.1.1',
  storageCommitmentPushModel: '1.2.840.10008.1.20.1',
  storageCommitmentPushModelInstance: '1.2.840.10008.1.20.1.1',
  patientRootFind: '1.2.840.10008.5.1.4.1.2.1.1',
  patientRootMove: '1.2.840.10008.5.1.4.1.2.1.2',
  patientRootGet: '1.2.840.10008.5.1.4.1.2.1.3',
  studyRootFind: '1.2.840.10008.5.1.4.1.2.2.1',
  studyRootMove: '1.2.840.10008.5.1.4.1.2.2.2',
  studyRootGet: '1.2.840.10008.5.1.4.1.2.2.3',
  modalityWorklistFind: '1.2.840.10008.5.1.4.31',
} as const;

/** Transfer syntaxes by their short name: PS3.6 table A-1. */
export const TRANSFER_SYNTAX = {
  implicitVrLittleEndian: '1.2.840.10008.1.2',
  explicitVrLittleEndian: '1.2.840.10008.1.2.1',
  encapsulatedUncompressed: '1.2.840.10008.1.2.1.98',
  deflatedExplicitVrLittleEndian: '1.2.840.10008.1.2.1.99',
  explicitVrBigEndian: '1.2.840.10008.1.2.2',
  jpegBaseline: '1.2.840.10008.1.2.4.50',
  jpegExtended: '1.2.840.10008.1.2.4.51',
  jpegLossless: '1.2.840.10008.1.2.4.57',
  jpegLosslessSv1: '1.2.840.10008.1.2.4.70',
  jpegLsLossless: '1.2.840.10008.1.2.4.80',
  jpegLsNearLossless: '1.2.840.10008.1.2.4.81',
  jpeg2000Lossless: '1.2.840.10008.1.2.4.90',
  jpeg2000: '1.2.840.10008.1.2.4.91',
  mpeg2MainProfileMainLevel: '1.2.840.10008.1.2.4.100',
  mpeg2MainProfileHighLevel: '1.2.840.10008.1.2.4.101',
  mpeg4HighProfile41: '1.2.840.10008.1.2.4.102',
  mpeg4HighProfile41Bd: '1.2.840.10008.1.2.4.103',
  mpeg4HighProfile42For2d: '1.2.840.10008.1.2.4.104',
  mpeg4HighProfile42For3d: '1.2.840.10008.1.2.4.105',
  mpeg4StereoHighProfile42: '1.2.840.10008.1.2.4.106',
  hevcMainProfile51: '1.2.840.10008.1.2.4.107',
  hevcMain10Profile51: '1.2.840.10008.1.2.4.108',
  htj2kLossless: '1.2.840.10008.1.2.4.201',
  htj2kLosslessRpcl: '1.2.840.10008.1.2.4.202',
  htj2k: '1.2.840.10008.1.2.4.203',
  rleLossless: '1.2.840.10008.1.2.5',
} as const;

/**
 * Our implementation identification (PS3.7 annex D.3.3.2). The class UID is derived from a UUID that was generated once for
 * this implementation (PS3.5 section B.2).
 */
export const IMPLEMENTATION = {
  classUid: '2.25.339823848523370936182308628790189992798',
  versionName: 'DICOM_DIMSE_0_1',
} as const;
