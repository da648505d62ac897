import { DispatchError } from '@dicom-dispatch/core';
import type { IncomingInstance } from 'dicom-dimse';
import type { InventoryContext, ListedInstance } from '@dicom-dispatch/target-kit';
import { dicomError } from './errors.ts';
import { atLevel } from './pull/find-studies.ts';
import { openRetriever, type Retriever } from './pull/retriever.ts';
import { classesOf } from './pull/storage-classes.ts';
import type { AnyDicomTarget } from './schema.ts';

const success = 0;
const processingFailure = 0x0110;
const notAskedFor = 0xc000;
/** Number of SOP classes that can be offered on one association, each in all relevant transfer syntaxes. */
const maxClassesAtOnce = 8;

type Use = (body: AsyncIterable<Uint8Array>) => Promise<void>;

/** Retrieves instances of one study one by one, by C-GET or C-MOVE as configured for the target; the content is not kept. */
export class OneByOne {
  readonly #context: InventoryContext<AnyDicomTarget>;
  readonly #sopClassUids: readonly string[];
  #retriever: Retriever | undefined;
  #wanted: { readonly sopInstanceUid: string; readonly use: Use } | undefined;
  /** The running `use`, which may end after a lost association. */
  #using: Promise<void> | undefined;
  #arrived = 0;

  constructor(context: InventoryContext<AnyDicomTarget>, instances: readonly ListedInstance[]) {
    this.#context = context;
    const classes = [...new Set(instances.flatMap(({ instance: { sopClassUid } }) => sopClassUid ?? []))];
    this.#sopClassUids = classes.length <= maxClassesAtOnce ? classes.sort() : [];
  }

  /** SOP classes to offer: those of the complete study if they fit on one association. */
  #classesFor(sopClassUid: string | undefined): readonly string[] {
    if (sopClassUid === undefined) return classesOf(undefined);
    return this.#sopClassUids.includes(sopClassUid) ? this.#sopClassUids : [sopClassUid];
  }

  /** @throws DispatchError `target-error` if the instance did not arrive; the errors of `use` */
  async retrieve<T>({ instance }: ListedInstance, use: (body: AsyncIterable<Uint8Array>) => Promise<T>): Promise<T> {
    const { studyInstanceUid, seriesInstanceUid, sopInstanceUid, sopClassUid } = instance;
    const identifier = {
      ...atLevel('IMAGE'),
      StudyInstanceUID: studyInstanceUid,
      SeriesInstanceUID: seriesInstanceUid,
      SOPInstanceUID: sopInstanceUid,
    };
    let used: { readonly value: T } | undefined;
    this.#wanted = { sopInstanceUid, use: async (body) => void (used = { value: await use(body) }) };
    this.#using = undefined;
    try {
      this.#retriever ??= await openRetriever(this.#context, this);
      await this.#context.pace();
      await this.#retriever.retrieve({ identifier, sopClassUids: this.#classesFor(sopClassUid) });
      await (this.#using as Promise<void> | undefined);
    } catch (error) {
      throw notServed(dicomError(error, 'transfer'));
    } finally {
      this.#wanted = undefined;
    }
    if (used) return used.value;
    throw new DispatchError('target-error', this.#retriever.whyNot(sopClassUid), { stage: 'verify' });
  }

  /** Number of instances that have arrived, requested or not. */
  get arrived(): number {
    return this.#arrived;
  }

  /** Handles a C-STORE request. @returns the status of its response */
  async store(incoming: IncomingInstance): Promise<number> {
    this.#arrived += 1;
    const wanted = this.#wanted;
    if (wanted?.sopInstanceUid !== incoming.sopInstanceUid) return notAskedFor;
    this.#wanted = undefined;
    this.#using = wanted.use(incoming.part10());
    return this.#using.then(
      () => success,
      () => processingFailure,
    );
  }

  async close(): Promise<void> {
    await this.#retriever?.close();
  }
}

/** A receiver that supports queries but no retrieval can still be audited for missing instances. */
function notServed(error: unknown): unknown {
  if (!(error instanceof DispatchError) || error.code !== 'target-misconfigured') return error;
  return new DispatchError('target-error', error.message, { cause: error, stage: 'verify' });
}
