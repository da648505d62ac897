import { DispatchError } from '@dicom-dispatch/core';
import { connect, UID, type Association } from 'dicom-dimse';
import type { CheckContext } from '@dicom-dispatch/target-kit';
import { queryOptions } from '../connect-options.ts';
import { dicomError } from '../errors.ts';
import { littleEndian } from '../little-endian.ts';
import type { AnyDicomTarget } from '../schema.ts';

/** An association for C-FIND. @throws DispatchError */
export async function openForFind({ config, signal }: CheckContext<AnyDicomTarget>): Promise<Association> {
  const contexts = [{ abstractSyntax: UID.studyRootFind, transferSyntaxes: littleEndian }];
  const association = await connect(await queryOptions(config, contexts, signal)).catch((error: unknown) => {
    throw dicomError(error, 'connect');
  });
  if (association.acceptedContexts.length > 0) return association;
  await association.release();
  throw new DispatchError('target-misconfigured', 'the receiver does not support C-FIND (Study Root)', {
    stage: 'connect',
    remedy: 'Allow the calling AE title to query at the receiver, or set query to the address that supports queries.',
  });
}
