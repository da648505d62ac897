import { setTimeout as pause } from 'node:timers/promises';
import { DispatchError } from '@dicom-dispatch/core';
import {
  connect,
  probeTls,
  TRANSFER_SYNTAX,
  UID,
  type Association,
  type ConnectOptions,
  type PresentationContextRequest,
} from 'dicom-dimse';
import { networkSteps, runChecks, type CheckStep } from '@dicom-dispatch/target-kit/checks';
import type { Check, CheckContext } from '@dicom-dispatch/target-kit';
import { connectOptions } from './connect-options.ts';
import { dicomError } from './errors.ts';
import { littleEndian } from './little-endian.ts';
import { openForFind } from './pull/query-association.ts';
import type { AnyDicomTarget } from './schema.ts';
import { allStorage, commonStorage } from './storage-classes.ts';
import { testListener } from './verify/index.ts';

/** Statuses of a receiver that accepts Verification but does not perform it (PS3.7 annex C). */
const notPerformed: ReadonlySet<number> = new Set([0x0122, 0x0124, 0x0211]);

/** Other transfer syntaxes, for a receiver that does not accept uncompressed objects. */
const otherSyntaxes = Object.values(TRANSFER_SYNTAX).filter((one) => !littleEndian.some((known) => known === one));

const busyTries = 10;
const busyPauseMs = 500;

/**
 * Checks name, port, TLS, an association for storage with both AE titles, C-ECHO, that the receiver accepts objects at all, and that it
 * supports queries and storage commitment as configured. As in a delivery, each service has an association that proposes nothing
 * else; only if that for storage is rejected, a second one proposes Verification too.
 */
export async function* testDicom(context: CheckContext<AnyDicomTarget>): AsyncGenerator<Check> {
  const { config, signal } = context;
  let proposed: readonly string[] = commonStorage;
  let accepted: ReadonlySet<string> = new Set();
  const steps: CheckStep[] = [
    {
      name: 'associate',
      async run() {
        try {
          accepted = await acceptedClasses(context, proposed);
        } catch (thrown) {
          if (!(thrown instanceof DispatchError) || thrown.code !== 'target-rejected') throw thrown;
          // Some receivers reject an association of which they accept no presentation context.
          proposed = [UID.verification, ...allStorage];
          accepted = await acceptedClasses(context, proposed);
        }
        return `${config.calledAeTitle} accepts ${config.callingAeTitle}`;
      },
    },
    { name: 'echo', run: () => echo(context) },
    {
      name: 'storage',
      async run() {
        if (commonStorage.some((one) => accepted.has(one))) return 'the receiver accepts images';
        if (proposed === commonStorage) accepted = await acceptedClasses(context, allStorage);
        const some = allStorage.filter((one) => accepted.has(one)).length;
        if (some > 0) return `the receiver accepts ${some} of ${allStorage.length} common SOP classes`;
        throw new DispatchError('target-misconfigured', 'the receiver accepts none of the common storage SOP classes', {
          remedy: 'Allow the calling AE title to store images at the receiver.',
          stage: 'connect',
        });
      },
    },
  ];
  const network = networkSteps({ host: config.host, port: config.port, timeoutMs: config.connectTimeout });
  yield* runChecks([...network, ...tlsSteps(context), ...steps, ...verificationSteps(context)], signal);
}

/** The SOP classes that the receiver accepts, uncompressed or compressed. */
async function acceptedClasses(
  context: CheckContext<AnyDicomTarget>,
  classes: readonly string[],
): Promise<ReadonlySet<string>> {
  const contexts = classes.flatMap((abstractSyntax) => [
    { abstractSyntax, transferSyntaxes: littleEndian },
    // Verification has no data set.
    ...(abstractSyntax === UID.verification ? [] : [{ abstractSyntax, transferSyntaxes: otherSyntaxes }]),
  ]);
  return withAssociation(
    context,
    contexts,
    async ({ acceptedContexts }) => new Set(acceptedContexts.map(({ abstractSyntax }) => abstractSyntax)),
  );
}

/** C-ECHO. Skipped if the receiver does not offer it, because deliveries do not need it. */
async function echo(context: CheckContext<AnyDicomTarget>): Promise<string | { readonly skip: string }> {
  const { signal } = context;
  const contexts = [{ abstractSyntax: UID.verification, transferSyntaxes: littleEndian }];
  try {
    return await withAssociation(context, contexts, async (association) => {
      if (association.acceptedContexts.length === 0) return { skip: 'the receiver does not offer Verification' };
      const { status, text } = await association.echo({ signal }).catch((error: unknown) => {
        throw dicomError(error, 'connect');
      });
      if (status === 0) return 'C-ECHO was answered';
      if (notPerformed.has(status)) return { skip: `the receiver does not offer Verification (${text})` };
      throw new DispatchError('target-error', `C-ECHO was answered with ${text}`, { stage: 'connect' });
    });
  } catch (thrown) {
    if (!(thrown instanceof DispatchError) || thrown.code !== 'target-rejected') throw thrown;
    return { skip: 'the receiver accepts associations for storage, but not for Verification' };
  }
}

/** Waits for a receiver that accepts one association at a time and has another one, or has not yet noticed the end of the last one. */
async function connectInTurn(options: ConnectOptions, signal: AbortSignal): Promise<Association> {
  for (let triesLeft = busyTries; ; triesLeft -= 1) {
    try {
      return await connect(options);
    } catch (thrown) {
      const error = dicomError(thrown, 'connect');
      if (!(error instanceof DispatchError) || error.code !== 'target-busy' || triesLeft === 0) throw error;
      await pause(busyPauseMs, undefined, { signal });
    }
  }
}

async function withAssociation<T>(
  { config, signal }: CheckContext<AnyDicomTarget>,
  contexts: readonly PresentationContextRequest[],
  act: (association: Association) => Promise<T>,
): Promise<T> {
  const association = await connectInTurn(await connectOptions(config, contexts, signal), signal);
  try {
    return await act(association);
  } finally {
    if (signal.aborted) association.abort();
    await association.release();
  }
}

/** The TLS handshake of a delivery, with all its options. */
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

function verificationSteps(context: CheckContext<AnyDicomTarget>): CheckStep[] {
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
      const contexts = [{ abstractSyntax: UID.storageCommitmentPushModel, transferSyntaxes: littleEndian }];
      const isOffered = await withAssociation(
        context,
        contexts,
        async ({ acceptedContexts }) => acceptedContexts.length > 0,
      );
      if (isOffered) return 'the receiver offers storage commitment';
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
