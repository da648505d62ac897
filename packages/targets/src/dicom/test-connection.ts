import { DispatchError } from '@dicom-dispatch/core';
import { connect, TRANSFER_SYNTAX, UID, type Association } from 'dicom-dimse';
import { networkSteps, runChecks } from '../checks/index.ts';
import type { Check, CheckContext } from '../contract/index.ts';
import { tlsOptions } from '../http/tls-files.ts';
import { connectOptions } from './connect-options.ts';
import { dicomError } from './errors.ts';
import type { AnyDicomTarget } from './schema.ts';

/** CT, MR and Secondary Capture Image Storage (PS3.4 table B.5-1): one of them every receiver of images takes. */
const commonStorage = ['1.2.840.10008.5.1.4.1.1.2', '1.2.840.10008.5.1.4.1.1.4', '1.2.840.10008.5.1.4.1.1.7'];
const uncompressed = [TRANSFER_SYNTAX.explicitVrLittleEndian, TRANSFER_SYNTAX.implicitVrLittleEndian];

/** Name, port, TLS, association with both AE titles, C-ECHO, and that the receiver takes images at all. */
export async function* testDicom({ config, signal }: CheckContext<AnyDicomTarget>): AsyncGenerator<Check> {
  let association: Association | undefined;
  try {
    yield* runChecks(
      [
        ...networkSteps({
          host: config.host,
          port: config.port,
          timeoutMs: config.connectTimeout,
          tls: config.tls && (() => tlsOptions(config.tls)),
        }),
        {
          name: 'associate',
          async run() {
            const contexts = [UID.verification, ...commonStorage].map((abstractSyntax) => ({
              abstractSyntax,
              transferSyntaxes: uncompressed,
            }));
            association = await connect(await connectOptions(config, contexts, signal)).catch((error: unknown) => {
              throw dicomError(error, 'connect');
            });
            return `${config.calledAeTitle} accepts ${config.callingAeTitle}`;
          },
        },
        {
          name: 'echo',
          async run() {
            if (!association?.canStore(UID.verification, association.acceptedContexts[0]?.transferSyntax ?? '')) {
              return { skip: 'the receiver does not offer Verification' };
            }
            const { status, text } = await association.echo({ signal }).catch((error: unknown) => {
              throw dicomError(error, 'connect');
            });
            if (status !== 0)
              throw new DispatchError('target-error', `C-ECHO was answered with ${text}`, { stage: 'connect' });
            return 'C-ECHO was answered';
          },
        },
        {
          name: 'storage',
          async run() {
            const accepted =
              association?.acceptedContexts.filter(({ abstractSyntax }) => commonStorage.includes(abstractSyntax)) ??
              [];
            if (accepted.length > 0) return 'the receiver accepts images';
            throw new DispatchError(
              'target-misconfigured',
              'the receiver accepts neither CT, MR nor Secondary Capture images',
              {
                remedy: 'Allow our AE title to store images at the receiver.',
                stage: 'connect',
              },
            );
          },
        },
      ],
      signal,
    );
  } finally {
    await association?.release();
  }
}
