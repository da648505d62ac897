import { describePlace, targetPlace, type TargetAbout, type TargetConfig } from '@dicom-dispatch/core';
import type { z } from 'zod';
import { azureAbout } from './azure/about.ts';
import { dicomAbout, dicomTlsAbout } from './dicom/about.ts';
import { dicomwebAbout } from './dicomweb/about.ts';
import { dummyAbout } from './dummy/about.ts';
import { folderAbout } from './folder/about.ts';
import { orthancAbout } from './orthanc/about.ts';
import { rsyncAbout } from './rsync/about.ts';
import { s3About } from './s3/about.ts';
import type { BuiltInType, targetSchemas } from './schemas.ts';
import { sftpAbout } from './sftp/about.ts';
import { xnatAbout } from './xnat/about.ts';

/** Descriptions of the built-in types, without their handlers: fast to load. */
export const targetAbouts: {
  readonly [Type in BuiltInType]: TargetAbout<z.output<(typeof targetSchemas)[Type]>>;
} = {
  dicom: dicomAbout,
  'dicom-tls': dicomTlsAbout,
  dicomweb: dicomwebAbout,
  dummy: dummyAbout,
  folder: folderAbout,
  orthanc: orthancAbout,
  rsync: rsyncAbout,
  s3: s3About,
  azure: azureAbout,
  sftp: sftpAbout,
  xnat: xnatAbout,
};

const outsideIcon = 'M12 3l8 4v10l-8 4-8-4V7zM4 7l8 4 8-4M12 11v10';

/** Description of a type; an external one without a description is named by its type. */
export function aboutType(type: string, own?: TargetAbout): TargetAbout {
  if (Object.hasOwn(targetAbouts, type)) return targetAbouts[type as BuiltInType] as TargetAbout;
  return (
    own ?? {
      displayName: type.replace(/^package:/, ''),
      purpose: 'An external handler.',
      icon: outsideIcon,
      groups: { basic: ['url', 'host', 'port', 'path'] },
      example: {},
    }
  );
}

/** A configured target in one line. */
export function targetInfo(config: TargetConfig, own?: TargetAbout): string {
  const about = aboutType(config.type, own);
  return about.info ? about.info(config as never) : describePlace(targetPlace(config));
}
