import { azureTarget } from './azure/schema.ts';
import { dicomTarget, dicomTlsTarget } from './dicom/schema.ts';
import { dicomwebTarget } from './dicomweb/schema.ts';
import { dummyTarget } from './dummy/schema.ts';
import { folderTarget } from './folder/schema.ts';
import { orthancTarget } from './orthanc/schema.ts';
import { rsyncTarget } from './rsync/schema.ts';
import { s3Target } from './s3/schema.ts';
import { sftpTarget } from './sftp/schema.ts';
import { xnatTarget } from './xnat/schema.ts';

/** The configuration schemas of all built-in target types, without their handlers: quick to load. */
export const targetSchemas = {
  dicom: dicomTarget,
  'dicom-tls': dicomTlsTarget,
  dicomweb: dicomwebTarget,
  dummy: dummyTarget,
  folder: folderTarget,
  orthanc: orthancTarget,
  rsync: rsyncTarget,
  s3: s3Target,
  azure: azureTarget,
  sftp: sftpTarget,
  xnat: xnatTarget,
} as const;

export type BuiltInType = keyof typeof targetSchemas;
