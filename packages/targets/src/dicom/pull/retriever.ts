import { DispatchError } from '@dicom-dispatch/core';
import { connect, UID, type Association, type ConnectOptions, type RetrieveResult } from 'dicom-dimse';
import { dataSet } from 'dicom-dimse/dataset';
import type { CheckContext } from '../../contract/index.ts';
import { until } from '../../flow/index.ts';
import { queryOptions } from '../connect-options.ts';
import { dicomError } from '../errors.ts';
import { littleEndian } from '../little-endian.ts';
import { listen } from '../listen.ts';
import type { AnyDicomTarget } from '../schema.ts';
import type { ListedInstance } from './list-instances.ts';
import type { Receiving } from './receiving.ts';
import { storageContexts } from './storage-contexts.ts';

/** Between two responses to a C-MOVE lies at least one whole instance on another association. */
const leastMoveTimeoutMs = 600_000;
const destinationUnknown = 0xa801;

/** Asks for instances, by C-GET or C-MOVE. */
export interface Retriever {
  /**
   * Resolves when the receiver has ended the operation, whatever came: that is seen in what was received.
   *
   * @throws DispatchError when it is of no use to ask for more
   */
  retrieve(identifier: Readonly<Record<string, unknown>>): Promise<void>;
  close(): Promise<void>;
}

export async function openRetriever(
  context: CheckContext<AnyDicomTarget>,
  missing: readonly ListedInstance[],
  receiving: Receiving,
): Promise<Retriever> {
  const { config } = context;
  return config.retrieve === 'move' && config.moveTo
    ? openMove(context, config.moveTo, receiving)
    : openGet(context, missing, receiving);
}

function openGet(
  { config, signal }: CheckContext<AnyDicomTarget>,
  missing: readonly ListedInstance[],
  receiving: Receiving,
): Retriever {
  const storage = storageContexts(missing.map(({ sopClassUid }) => sopClassUid));
  const contexts = [{ abstractSyntax: UID.studyRootGet, transferSyntaxes: littleEndian }, ...storage];
  const classes = [...new Set(storage.map(({ abstractSyntax }) => abstractSyntax))];
  return retrieverOver(
    async () => ({
      ...(await queryOptions(config, contexts, signal)),
      // We are the SCP of what the receiver stores (PS3.4 section C.5.3).
      roles: classes.map((sopClassUid) => ({ sopClassUid, scu: false, scp: true })),
      handlers: { store: (instance) => receiving.store(instance) },
    }),
    { sopClassUid: UID.studyRootGet, instead: 'Allow it at the receiver, or set retrieve: move.', signal },
    (association, identifier) =>
      association.get({ sopClassUid: UID.studyRootGet, identifier: dataSet(identifier), signal }),
  );
}

async function openMove(
  { config, signal }: CheckContext<AnyDicomTarget>,
  moveTo: NonNullable<AnyDicomTarget['moveTo']>,
  receiving: Receiving,
): Promise<Retriever> {
  const server = await listen('moveTo', moveTo, {
    aeTitle: moveTo.aeTitle,
    presentationContexts: ({ transferSyntaxes }) => transferSyntaxes[0],
    handlers: { store: (instance) => receiving.store(instance) },
  });
  const contexts = [{ abstractSyntax: UID.studyRootMove, transferSyntaxes: littleEndian }];
  const retriever = retrieverOver(
    async () => ({
      ...(await queryOptions(config, contexts, signal)),
      responseTimeoutMs: Math.max(config.responseTimeout, leastMoveTimeoutMs),
    }),
    { sopClassUid: UID.studyRootMove, instead: 'Allow it at the receiver, or set retrieve: get.', signal },
    async (association, identifier) => {
      const result = await association.move({
        sopClassUid: UID.studyRootMove,
        identifier: dataSet(identifier),
        destinationAeTitle: moveTo.aeTitle,
        signal,
      });
      if (result.status !== destinationUnknown) return result;
      throw new DispatchError('target-misconfigured', `the receiver does not know the destination ${moveTo.aeTitle}`, {
        remedy: 'Enter the AE title of moveTo with the address of this machine and its port at the receiver.',
      });
    },
  );
  return {
    retrieve: (identifier) => retriever.retrieve(identifier),
    async close() {
      await retriever.close();
      await server.close();
    },
  };
}

interface Operation {
  readonly sopClassUid: string;
  readonly instead: string;
  readonly signal: AbortSignal;
}

/** One association for all operations; one that is lost is opened again for the next. */
function retrieverOver(
  options: () => Promise<ConnectOptions>,
  { sopClassUid, instead, signal }: Operation,
  perform: (association: Association, identifier: Readonly<Record<string, unknown>>) => Promise<RetrieveResult>,
): Retriever {
  let association: Association | undefined;

  async function open(): Promise<Association> {
    if (association && !association.hasEnded) return association;
    association = await connect(await options()).catch((error: unknown) => {
      throw dicomError(error, 'connect');
    });
    if (association.acceptedContexts.some(({ abstractSyntax }) => abstractSyntax === sopClassUid)) return association;
    const service = sopClassUid === UID.studyRootGet ? 'C-GET' : 'C-MOVE';
    throw new DispatchError('target-misconfigured', `the receiver does not offer ${service} (Study Root)`, {
      stage: 'connect',
      remedy: instead,
    });
  }

  return {
    async retrieve(identifier) {
      const opened = await open();
      try {
        await until(perform(opened, identifier), signal);
      } catch (thrown) {
        // Nobody waits for the end of an operation that was given up.
        opened.abort();
        const error = dicomError(thrown, 'transfer');
        if (!(error instanceof DispatchError) || signal.aborted) throw error;
        if (error.disposition === 'halt' || error.disposition === 'wait') throw error;
      }
    },
    async close() {
      if (signal.aborted) association?.abort();
      await association?.release();
    },
  };
}
