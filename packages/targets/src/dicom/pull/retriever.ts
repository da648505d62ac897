import { DispatchError } from '@dicom-dispatch/core';
import {
  connect,
  UID,
  type Association,
  type ConnectOptions,
  type IncomingInstance,
  type RetrieveResult,
} from 'dicom-dimse';
import { dataSet } from 'dicom-dimse/dataset';
import type { CheckContext } from '@dicom-dispatch/target-kit';
import { until } from '@dicom-dispatch/target-kit/flow';
import { queryOptions } from '../connect-options.ts';
import { dicomError } from '../errors.ts';
import { littleEndian } from '../little-endian.ts';
import { listen } from '../listen.ts';
import type { AnyDicomTarget } from '../schema.ts';
import type { Retrieval } from './plan-retrieval.ts';
import { storageContexts } from './storage-contexts.ts';

/** Between two responses to a C-MOVE the receiver sends at least one complete instance on another association. */
const leastMoveTimeoutMs = 600_000;
const destinationUnknown = 0xa801;

/** Requests instances by C-GET or C-MOVE. */
export interface Retriever {
  /**
   * Resolves when the operation has ended, also after a failure: check which instances have arrived.
   *
   * @throws DispatchError if further requests cannot succeed
   */
  retrieve(retrieval: Retrieval): Promise<void>;
  /**
   * Call this after the planned requests, before requests for single instances.
   *
   * @throws DispatchError if nothing has arrived, and nothing can arrive
   */
  check(): void;
  /** Why an instance of this class has not arrived, considering all operations. */
  whyNot(sopClassUid: string | undefined): string;
  close(): Promise<void>;
}

/** Receives the instances: the Storage SCP of a retrieval. */
export interface StoreSink {
  /** Number of instances that have arrived, requested or not. */
  readonly arrived: number;
  /** Handles a C-STORE request. @returns the status of its response */
  store(instance: IncomingInstance): Promise<number>;
}

type RetrieveContext = Pick<CheckContext<AnyDicomTarget>, 'config' | 'signal'> & {
  /** To be awaited before each association. */
  readonly pace?: () => Promise<void>;
};

export async function openRetriever(context: RetrieveContext, receiving: StoreSink): Promise<Retriever> {
  const { config } = context;
  return config.retrieve === 'move' && config.moveTo
    ? openMove(context, config.moveTo, receiving)
    : openGet(context, receiving);
}

function openGet({ config, signal, pace }: RetrieveContext, receiving: StoreSink): Retriever {
  let areRolesAnswered = false;
  const retriever = retrieverOver(
    async (sopClassUids) => {
      const contexts = [
        { abstractSyntax: UID.studyRootGet, transferSyntaxes: littleEndian },
        ...storageContexts(sopClassUids),
      ];
      return {
        ...(await queryOptions(config, contexts, signal)),
        // We are the SCP for instances that the receiver sends (PS3.4 section C.5.3). A receiver may accept this role without a response.
        roles: sopClassUids.map((sopClassUid) => ({ sopClassUid, scu: false, scp: true })),
        assumeRoles: true,
        handlers: { store: (instance) => receiving.store(instance) },
      };
    },
    { sopClassUid: UID.studyRootGet, instead: 'Allow it at the receiver, or set retrieve: move.', signal, pace },
    (association, identifier) => {
      areRolesAnswered ||= association.peer.roles.some(({ scp }) => scp);
      return association.get({ sopClassUid: UID.studyRootGet, identifier: dataSet(identifier), signal });
    },
  );
  return {
    retrieve: (retrieval) => retriever.retrieve(retrieval),
    check() {
      if (areRolesAnswered || receiving.arrived > 0) return;
      const text = 'nothing came by C-GET, and the receiver does not answer the role selection that it requires';
      throw new DispatchError('target-misconfigured', `${text}: ${retriever.whyNot(undefined)}`, {
        stage: 'transfer',
        remedy: 'If the study is available there, set retrieve: move for the target, with moveTo.',
      });
    },
    whyNot: (sopClassUid) =>
      sopClassUid === undefined && retriever.failure() === undefined
        ? `${retriever.whyNot(sopClassUid)}; it does not report SOP classes, so C-GET may miss instances: set retrieve: move`
        : retriever.whyNot(sopClassUid),
    close: () => retriever.close(),
  };
}

async function openMove(
  { config, signal, pace }: RetrieveContext,
  moveTo: NonNullable<AnyDicomTarget['moveTo']>,
  receiving: StoreSink,
): Promise<Retriever> {
  const server = await listen('moveTo', moveTo, {
    aeTitle: moveTo.aeTitle,
    presentationContexts: ({ transferSyntaxes }) => transferSyntaxes[0],
    minBytesPerSecond: config.minBytesPerSecond,
    handlers: { store: (instance) => receiving.store(instance) },
  });
  const contexts = [{ abstractSyntax: UID.studyRootMove, transferSyntaxes: littleEndian }];
  const retriever = retrieverOver(
    async () => ({
      ...(await queryOptions(config, contexts, signal)),
      responseTimeoutMs: Math.max(config.timeout, leastMoveTimeoutMs),
    }),
    { sopClassUid: UID.studyRootMove, instead: 'Allow it at the receiver, or set retrieve: get.', signal, pace },
    async (association, identifier) => {
      const result = await association.move({
        sopClassUid: UID.studyRootMove,
        identifier: dataSet(identifier),
        destinationAeTitle: moveTo.aeTitle,
        received: () => receiving.arrived,
        signal,
      });
      if (result.status !== destinationUnknown) return result;
      throw new DispatchError('target-misconfigured', `the receiver does not know the destination ${moveTo.aeTitle}`, {
        remedy: 'Register the AE title of moveTo at the receiver, with the address of this host and its port.',
      });
    },
  );
  return {
    // The classes that the destination accepts do not depend on the request.
    retrieve: ({ identifier }) => retriever.retrieve({ identifier, sopClassUids: [] }),
    check() {},
    whyNot: (sopClassUid) => retriever.whyNot(sopClassUid),
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
  readonly pace: RetrieveContext['pace'];
}

/** Uses one association for all operations that need the same SOP classes; after a loss it is opened again for the next operation. */
function retrieverOver(
  options: (sopClassUids: readonly string[]) => Promise<ConnectOptions>,
  { sopClassUid, instead, signal, pace }: Operation,
  perform: (association: Association, identifier: Retrieval['identifier']) => Promise<RetrieveResult>,
): Omit<Retriever, 'check'> & { failure(): string | undefined } {
  let association: Association | undefined;
  let offered = '';
  let failure: string | undefined;

  async function open(sopClassUids: readonly string[]): Promise<Association> {
    if (association && !association.hasEnded && offered === sopClassUids.join()) return association;
    await association?.release();
    await pace?.();
    association = await connect(await options(sopClassUids)).catch((error: unknown) => {
      throw dicomError(error, 'connect');
    });
    offered = sopClassUids.join();
    if (association.acceptedContexts.some(({ abstractSyntax }) => abstractSyntax === sopClassUid)) return association;
    const service = sopClassUid === UID.studyRootGet ? 'C-GET' : 'C-MOVE';
    throw new DispatchError('target-misconfigured', `the receiver does not offer ${service} (Study Root)`, {
      stage: 'connect',
      remedy: instead,
    });
  }

  return {
    async retrieve({ identifier, sopClassUids }) {
      const opened = await open(sopClassUids);
      try {
        const { class: outcome, status, text } = await until(perform(opened, identifier), signal);
        if (outcome !== 'success') failure = `status ${status.toString(16).toUpperCase().padStart(4, '0')}H (${text})`;
      } catch (thrown) {
        // The end of an abandoned operation is not waited for.
        opened.abort();
        const error = dicomError(thrown, 'transfer');
        if (!(error instanceof DispatchError) || signal.aborted) throw error;
        if (error.disposition === 'halt' || error.disposition === 'wait') throw error;
        failure = error.message;
      }
    },
    failure: () => failure,
    whyNot: () => (failure === undefined ? 'the receiver did not send it' : `the receiver did not send it: ${failure}`),
    async close() {
      if (signal.aborted) association?.abort();
      await association?.release();
    },
  };
}
