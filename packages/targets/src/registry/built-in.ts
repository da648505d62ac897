import type { z } from 'zod';
import type { TargetHandler } from '@dicom-dispatch/target-kit';
import type { BuiltInType, targetSchemas } from '../schemas.ts';

/** One loader for every type in `targetSchemas`: the compiler rejects a type without its handler, or with the wrong one. */
type BuiltInHandlers = {
  readonly [Type in BuiltInType]: () => Promise<TargetHandler<z.output<(typeof targetSchemas)[Type]>>>;
};

/** Handlers are loaded when the first target of their type is used: a dispatcher without S3 never loads the SDK. */
export const builtInHandlers: BuiltInHandlers = {
  dicom: async () => (await import('../dicom/handler.ts')).dicomHandler,
  'dicom-tls': async () => (await import('../dicom/handler.ts')).dicomTlsHandler,
  dicomweb: async () => (await import('../dicomweb/handler.ts')).dicomwebHandler,
  dummy: async () => (await import('../dummy/handler.ts')).dummyHandler,
  folder: async () => (await import('../folder/handler.ts')).folderHandler,
  orthanc: async () => (await import('../orthanc/handler.ts')).orthancHandler,
  rsync: async () => (await import('../rsync/handler.ts')).rsyncHandler,
  s3: async () => (await import('../s3/handler.ts')).s3Handler,
  azure: async () => (await import('../azure/handler.ts')).azureHandler,
  sftp: async () => (await import('../sftp/handler.ts')).sftpHandler,
  xnat: async () => (await import('../xnat/handler.ts')).xnatHandler,
};

export function isBuiltIn(type: string): type is BuiltInType {
  return Object.hasOwn(builtInHandlers, type);
}
