import { DispatchError } from '@dicom-dispatch/core';
import { connect, probeTls, UID, type Association } from 'dicom-dimse';
import { networkSteps, runChecks, type CheckStep } from '@dicom-dispatch/target-kit/checks';
import type { Check, CheckContext } from '@dicom-dispatch/target-kit';
import { connectOptions } from './connect-options.ts';
import { dicomError } from './errors.ts';
import { littleEndian } from './little-endian.ts';
import { openForFind } from './pull/query-association.ts';
import type { AnyDicomTarget } from './schema.ts';
import { testListener } from './verify/index.ts';

/** CT, MR and Secondary Capture Image Storage (PS3.4 table B.5-1): every receiver of images accepts one of them. */
const commonStorage = ['1.2.840.10008.5.1.4.1.1.2', '1.2.840.10008.5.1.4.1.1.4', '1.2.840.10008.5.1.4.1.1.7'];

/**
 * Checks name, port, TLS, association with both AE titles, C-ECHO, that the receiver accepts images at all, and that it
 * supports
 * the configured verification.
 */
export async function* testDicom(context: CheckContext<AnyDicomTarget>): AsyncGenerator<Check> {
  const { config, signal } = context;
  let association: Association | undefined;
  try {
    yield* runChecks(
      [
        ...networkSteps({
          host: config.host,
          port: config.port,
          timeoutMs: config.connectTimeout,
        }),
        ...tlsSteps(context),
        {
          name: 'associate',
          async run() {
            const contexts = [UID.verification, UID.storageCommitmentPushModel, ...commonStorage].map(
              (abstractSyntax) => ({ abstractSyntax, transferSyntaxes: littleEndian }),
            );
            association = await connect(await connectOptions(config, contexts, signal)).catch((error: unknown) => {
              throw dicomError(error, 'connect');
            });
            return `${config.calledAeTitle} accepts ${config.callingAeTitle}`;
          },
        },
        {
          name: 'echo',
          async run() {
            if (!accepts(association, UID.verification) || !association) {
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
            if (accepts(association, ...commonStorage)) return 'the receiver accepts images';
            throw new DispatchError(
              'target-misconfigured',
              'the receiver accepts neither CT, MR nor Secondary Capture images',
              {
                remedy: 'Allow the calling AE title to store images at the receiver.',
                stage: 'connect',
              },
            );
          },
        },
        ...verificationSteps(context, () => association),
      ],
      signal,
    );
  } finally {
    if (signal.aborted) association?.abort();
    await association?.release();
  }
}

/** The handshake of a delivery, with all its options. */
function tlsSteps({ config, signal }: CheckContext<AnyDicomTarget>): CheckStep[] {
  if (!config.tls) return [];
  return [
    {
      name: 'tls',
      async run() {
        const facts = await probeTls(await connectOptions(config, [], signal)).catch((error: unknown) => {
          throw dicomError(error, 'connect');
        });
        const { verify, verifyHostname } = config.tls ?? {};
        const checked = !verify
          ? 'certificate NOT verified'
          : `certificate verified${verifyHostname ? '' : ', but not its name'}`;
        return `${facts.protocol}, ${facts.cipher}, ${checked}, valid until ${facts.validTo ?? 'unknown'}`;
      },
    },
  ];
}

function verificationSteps(
  context: CheckContext<AnyDicomTarget>,
  association: () => Association | undefined,
): CheckStep[] {
  const { verify, query, commitment } = context.config;
  const steps: CheckStep[] = [];
  if (verify === 'find' || Object.keys(query).length > 0) {
    steps.push({
      name: 'query',
      async run() {
        const querying = await openForFind(context);
        await querying.release();
        return 'the receiver supports queries';
      },
    });
  }
  if (verify !== 'commitment') return steps;
  steps.push({
    name: 'commitment',
    async run() {
      if (accepts(association(), UID.storageCommitmentPushModel)) return 'the receiver offers storage commitment';
      throw new DispatchError('target-misconfigured', 'the receiver does not offer storage commitment', {
        remedy: 'Allow it for the calling AE title at the receiver, or set verify: find or verify: none.',
        stage: 'connect',
      });
    },
  });
  const { listener } = commitment;
  if (listener) {
    steps.push({
      name: 'listen',
      run: (stop) => testListener(listener, stop),
    });
  }
  return steps;
}

function accepts(association: Association | undefined, ...abstractSyntaxes: readonly string[]): boolean {
  return association?.acceptedContexts.some((one) => abstractSyntaxes.includes(one.abstractSyntax)) ?? false;
}
