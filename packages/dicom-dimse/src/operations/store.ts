import { COMMAND_ELEMENT, COMMAND_FIELD, HAS_DATA_SET, PRIORITY, encodeCommandSet } from '../dimse/command-set.ts';
import type { CommandSet } from '../dimse/command-set.ts';
import type { DataSetSink } from '../dimse/message-assembler.ts';
import type { DataSetFragmenter } from '../dimse/p-data-writer.ts';
import { describeStatus } from '../dimse/status.ts';
import type { DimseStatus } from '../dimse/status.ts';
import { DimseError } from '../errors/dimse-error.ts';
import type { AssociationCore } from '../association/association-core.ts';
import type { AcceptedContext } from '../association/contexts.ts';
import type { Operation } from '../association/operation-queue.ts';
import type { ByteSource } from '../part10/byte-source.ts';
import type { KnownFile } from '../part10/file-meta.ts';
import { CollectingSink } from './collecting-sink.ts';
import { hex, unexpectedResponse } from './unexpected-response.ts';
import type { StoreOptions, StoreResult } from './store-options.ts';
import { openPart10 } from '../part10/open-part10.ts';
import type { OpenedPart10 } from '../part10/open-part10.ts';

const NOTHING = Buffer.alloc(0);
/** More than this after a C-STORE-RSP, which has no data set, ends the association. */
const MAX_RESPONSE_DATA_SET_BYTES = 64 * 1024;

/** A C-STORE request: PS3.7 section 9.1.1, PS3.4 annex B. The bytes of the data set are not changed. */
export class StoreOperation implements Operation {
  readonly result: Promise<StoreResult>;
  readonly #core: AssociationCore;
  readonly #source: ByteSource;
  readonly #options: StoreOptions;
  #resolve: (result: StoreResult) => void = () => {};
  #reject: (error: DimseError) => void = () => {};
  #opened: OpenedPart10 | undefined;
  #head: Buffer = NOTHING;
  #headDone: (() => void) | undefined;
  #context: AcceptedContext | undefined;
  #sopInstanceUid = '';
  #messageId = 0;
  #dataSetBytes = 0;
  #hasBegun = false;
  /** Whether the last fragment was passed to the socket, and whether the system has accepted it. */
  #isWritten = false;
  #isTaken = false;
  /** A failure that arrived before the last fragment was written. */
  #early: CommandSet | undefined;
  #isSettled = false;

  constructor(core: AssociationCore, source: ByteSource, options: StoreOptions) {
    this.#core = core;
    this.#source = source;
    this.#options = options;
    this.result = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    options.signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  readonly responseField = COMMAND_FIELD.storeRsp;
  readonly isServedByRequests = false;

  get contextId(): number {
    return this.#context?.id ?? 0;
  }

  get isReady(): boolean {
    return this.#context !== undefined;
  }

  get isSettled(): boolean {
    return this.#isSettled;
  }

  prepare(): void {
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    if (this.#options.signal?.aborted === true) {
      this.#onAbort();
      return;
    }
    let opened: OpenedPart10 | Promise<OpenedPart10>;
    try {
      opened = openPart10(this.#source, { known: this.#known() });
      if (!(opened instanceof Promise) && opened.rest.isSync) {
        const head = this.#firstBytes(opened) as Buffer | undefined;
        this.#gotReady(opened, head);
        return;
      }
    } catch (error) {
      this.fail(error as DimseError);
      return;
    }
    this.#prepareAsync(opened).catch((error: unknown) => {
      this.fail(error as DimseError);
      this.#core.queue.remove(this);
    });
  }

  #known(): KnownFile | undefined {
    const { isTolerant, sopClassUid, sopInstanceUid, transferSyntaxUid } = this.#options;
    if (isTolerant !== true || transferSyntaxUid === undefined) return undefined;
    return { sopClassUid, sopInstanceUid, transferSyntaxUid };
  }

  async #prepareAsync(opening: OpenedPart10 | Promise<OpenedPart10>): Promise<void> {
    const opened = await opening;
    this.#opened = opened;
    if (this.#isSettled) {
      opened.rest.close();
      return;
    }
    // A C-STORE starts only when its first bytes are available, because peers abort an association that stalls.
    const head = await this.#firstBytes(opened);
    this.#gotReady(opened, head);
    if (!this.#isSettled) this.#core.queue.pump();
  }

  /** The first bytes of the data set; sets the callback that releases their memory. */
  #firstBytes(opened: OpenedPart10): Buffer | undefined | Promise<Buffer | undefined> {
    const { head, taken, rest } = opened;
    const { releaseChunk } = this.#options;
    const [only] = taken;
    if (releaseChunk !== undefined) {
      if (taken.length === 1 && only !== undefined && head.length > 0) this.#headDone = () => releaseChunk(only);
      else for (const chunk of taken) releaseChunk(chunk);
    }
    if (head.length > 0) return head;
    const first = rest.next();
    if (first instanceof Promise) {
      return first.then((chunk) => {
        this.#headDone = this.#doneWith(chunk);
        return chunk;
      });
    }
    this.#headDone = this.#doneWith(first);
    return first;
  }

  #doneWith(chunk: Buffer | undefined): (() => void) | undefined {
    const { releaseChunk } = this.#options;
    return releaseChunk === undefined || chunk === undefined ? undefined : () => releaseChunk(chunk);
  }

  #gotReady(opened: OpenedPart10, head: Buffer | undefined): void {
    this.#opened = opened;
    if (this.#isSettled) {
      opened.rest.close();
      return;
    }
    if (head === undefined) throw new DimseError('source-not-dicom', 'the file has no data set');
    this.#head = head;
    const { meta } = opened;
    const sopClassUid = this.#options.sopClassUid ?? meta.sopClassUid;
    const transferSyntaxUid = this.#options.transferSyntaxUid ?? meta.transferSyntaxUid;
    this.#sopInstanceUid = this.#options.sopInstanceUid ?? meta.sopInstanceUid;
    if (sopClassUid === '' || transferSyntaxUid === '' || this.#sopInstanceUid === '') {
      throw new DimseError(
        'source-not-dicom',
        'the file meta information lacks SOP class (0002,0002), SOP instance (0002,0003) or transfer syntax (0002,0010)',
      );
    }
    const context = this.#core.contexts.find(sopClassUid, transferSyntaxUid);
    if (context === undefined) {
      throw new DimseError(
        'no-presentation-context',
        `no accepted presentation context for SOP class ${sopClassUid} in transfer syntax ${transferSyntaxUid}`,
      );
    }
    this.#checkSyntax(meta.transferSyntaxUid);
    this.#context = context;
  }

  /** The peer cannot read a data set in another transfer syntax than that of its context. */
  #checkSyntax(ofFile: string): void {
    const expected = this.#options.transferSyntaxUid;
    if (expected === undefined || ofFile === '' || ofFile === expected) return;
    throw new DimseError('source-failed', `the file has transfer syntax ${ofFile}; expected ${expected}`);
  }

  start(messageId: number): Promise<void> | undefined {
    const { transport, writer } = this.#core;
    const { rest } = this.#opened as OpenedPart10;
    const context = this.#context as AcceptedContext;
    this.#messageId = messageId;
    transport.cork();
    try {
      const command = this.#command(context);
      this.#core.observeMessage('message-sent', command);
      writer.writeWhole(context.id, true, command);
      const fragmenter = writer.beginDataSet(context.id);
      fragmenter.push(this.#head, this.#headDone);
      if (!rest.isSync) return this.#sendAsync(fragmenter, rest.next() as Promise<Buffer | undefined>);
      while (!transport.needsDrain) {
        const chunk = rest.next() as Buffer | undefined;
        if (chunk === undefined) {
          this.#finishDataSet(fragmenter);
          return undefined;
        }
        fragmenter.push(chunk, this.#doneWith(chunk));
      }
      return this.#sendAsync(fragmenter, undefined);
    } finally {
      transport.uncork();
    }
  }

  /** @param next the chunk that was already requested. */
  async #sendAsync(fragmenter: DataSetFragmenter, next: Promise<Buffer | undefined> | undefined): Promise<void> {
    const { transport } = this.#core;
    const { rest } = this.#opened as OpenedPart10;
    let asked = next;
    for (;;) {
      if (transport.needsDrain) {
        await transport.whenDrained();
        this.#core.queue.onProgress();
      }
      const chunk = await (asked ?? rest.next());
      asked = undefined;
      if (this.#core.hasEnded) return;
      transport.cork();
      try {
        if (chunk === undefined) {
          this.#finishDataSet(fragmenter);
          return;
        }
        fragmenter.push(chunk, this.#doneWith(chunk));
      } finally {
        transport.uncork();
      }
    }
  }

  #finishDataSet(fragmenter: DataSetFragmenter): void {
    this.#dataSetBytes = fragmenter.totalBytes;
    this.#isWritten = true;
    fragmenter.end(() => {
      this.#isTaken = true;
    });
    if (this.#early !== undefined) this.#answered(this.#early);
  }

  #command(context: AcceptedContext): Buffer {
    const { priority, moveOriginator } = this.#options;
    return encodeCommandSet([
      [COMMAND_ELEMENT.affectedSopClassUid, context.abstractSyntax],
      [COMMAND_ELEMENT.commandField, COMMAND_FIELD.storeRq],
      [COMMAND_ELEMENT.messageId, this.#messageId],
      [COMMAND_ELEMENT.priority, PRIORITY[priority ?? 'medium']],
      [COMMAND_ELEMENT.commandDataSetType, HAS_DATA_SET],
      [COMMAND_ELEMENT.affectedSopInstanceUid, this.#sopInstanceUid],
      [COMMAND_ELEMENT.moveOriginatorAeTitle, moveOriginator?.aeTitle],
      [COMMAND_ELEMENT.moveOriginatorMessageId, moveOriginator?.messageId],
    ]);
  }

  /** PS3.7 section 9.1.1.2: accepts only a response with a final status, and with no UIDs or those of our instance. */
  onResponse(command: CommandSet): DataSetSink | undefined {
    const status = describeStatus(command.require(COMMAND_ELEMENT.status), 'store');
    if (status.class === 'pending' || status.class === 'cancel') {
      throw unexpectedResponse(`status ${hex(status.status)} (${status.text}) to a C-STORE`);
    }
    this.#checkUid(command, COMMAND_ELEMENT.affectedSopClassUid, this.#context?.abstractSyntax, 'class');
    this.#checkUid(command, COMMAND_ELEMENT.affectedSopInstanceUid, this.#sopInstanceUid, 'instance');
    if (this.#early !== undefined) throw unexpectedResponse('a second response to a C-STORE');
    if (!this.#isWritten && status.class !== 'failure') throw tooEarly(status);
    if (!command.hasDataSet) {
      this.#answered(command);
      return undefined;
    }
    // The Standard defines no data set here: it is ignored, and the response counts when it is complete.
    return new CollectingSink(MAX_RESPONSE_DATA_SET_BYTES, () => this.#answered(command));
  }

  #checkUid(command: CommandSet, element: number, ours: string | undefined, what: 'class' | 'instance'): void {
    const theirs = command.text(element) ?? '';
    if (theirs === '' || theirs === ours) return;
    throw unexpectedResponse(`a C-STORE-RSP with another Affected SOP ${what === 'class' ? 'Class' : 'Instance'} UID`);
  }

  #answered(command: CommandSet): void {
    const status = describeStatus(command.require(COMMAND_ELEMENT.status), 'store');
    if (!this.#isWritten) {
      // The rest is sent first, because the association could not continue without it; then the response counts.
      this.#early = command;
      return;
    }
    if (this.#isTaken || status.class === 'failure') {
      this.#finish(command, status);
      return;
    }
    // With TLS the callback for sent bytes may be one iteration of the event loop later than the response to them.
    setImmediate(() =>
      setImmediate(() => {
        if (this.#core.hasEnded) return;
        if (this.#isTaken) this.#finish(command, status);
        else this.#core.abort(tooEarly(status));
      }),
    );
  }

  #finish(command: CommandSet, status: DimseStatus): void {
    const context = this.#context as AcceptedContext;
    this.#core.queue.finish(this.#messageId);
    if (!this.#settle()) return;
    this.#resolve({
      ...status,
      affectedSopInstanceUid: command.text(COMMAND_ELEMENT.affectedSopInstanceUid) || this.#sopInstanceUid,
      sopClassUid: context.abstractSyntax,
      transferSyntaxUid: context.transferSyntax,
      dataSetBytes: this.#dataSetBytes,
      errorComment: command.text(COMMAND_ELEMENT.errorComment),
    });
  }

  fail(error: DimseError): void {
    if (!this.#settle()) return;
    this.#opened?.rest.close();
    this.#reject(error);
  }

  #settle(): boolean {
    if (this.#isSettled) return false;
    this.#isSettled = true;
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
    return true;
  }

  readonly #onAbort = (): void => {
    const isSending = this.#core.queue.isSending(this);
    this.fail(new DimseError('cancelled', 'the store was cancelled', { cause: this.#options.signal?.reason }));
    if (isSending) {
      this.#core.abort(
        new DimseError('association-ended', 'aborted locally: a store was cancelled during the transfer'),
      );
    } else {
      this.#core.queue.remove(this);
    }
  };
}

function tooEarly(status: DimseStatus): DimseError {
  return unexpectedResponse(`status ${hex(status.status)} to a C-STORE before its last fragment was sent`);
}
