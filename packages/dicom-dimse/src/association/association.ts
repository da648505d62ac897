import { DimseError } from '../errors/dimse-error.ts';
import type { DimseStatus } from '../dimse/status.ts';
import type { ByteSource } from '../part10/byte-source.ts';
import { nAction, nEventReport } from '../operations/n-services.ts';
import type { ActionRequest, EventReportRequest, NResult } from '../operations/n-services.ts';
import { echo } from '../operations/echo.ts';
import { find } from '../operations/find.ts';
import type { FindMatch, FindRequest } from '../operations/find.ts';
import { getInstances, moveInstances } from '../operations/retrieve.ts';
import type { GetRequest, MoveRequest, RetrieveResult } from '../operations/retrieve.ts';
import { StoreOperation } from '../operations/store.ts';
import type { StoreOptions, StoreResult } from '../operations/store-options.ts';
import { UID } from '../uids.ts';
import type { AssociationCore } from './association-core.ts';
import type { AcceptedContext, RejectedContext } from './contexts.ts';
import type { PeerInformation } from './negotiate.ts';

export interface OperationOptions {
  readonly signal?: AbortSignal | undefined;
}

/**
 * An established association. Operations may be called without waiting for one another: they are queued, and sent as the
 * peer's operations window allows (nearly always one at a time). Among the first `prepareAhead` in the queue, the first
 * whose source is ready is sent first.
 */
export class Association {
  readonly #core: AssociationCore;
  readonly peer: PeerInformation;

  /** Not for callers: see `connect` and `createServer`. */
  constructor(core: AssociationCore, peer: PeerInformation) {
    this.#core = core;
    this.peer = peer;
  }

  get acceptedContexts(): readonly AcceptedContext[] {
    return this.#core.contexts.accepted;
  }

  get rejectedContexts(): readonly RejectedContext[] {
    return this.#core.contexts.rejected;
  }

  /** Resolves at the end: without an error after a release. Never rejects. */
  get ended(): Promise<DimseError | undefined> {
    return this.#core.ended;
  }

  get hasEnded(): boolean {
    return this.#core.hasEnded;
  }

  /** Whether an instance of this class, in this transfer syntax, can be sent. */
  canStore(sopClassUid: string, transferSyntaxUid: string): boolean {
    return this.#core.contexts.find(sopClassUid, transferSyntaxUid) !== undefined;
  }

  /**
   * C-STORE of a Part 10 file (PS3.7 section 9.1.1). Its length need not be known. A failure status is a result, not an
   * error. Call it for the next instance before the response to this one: only then can the early byte be sent.
   *
   * @throws DimseError `no-presentation-context`, `source-not-dicom`, `source-failed` (before the first byte is sent the
   * association stays open, afterwards it is aborted), `cancelled`, and errors that ended the association.
   */
  store(source: ByteSource, options: StoreOptions = {}): Promise<StoreResult> {
    const operation = new StoreOperation(this.#core, source, options);
    this.#core.queue.add(operation);
    return operation.result;
  }

  /** C-ECHO (PS3.7 section 9.1.5). @throws DimseError `no-presentation-context` if Verification was not accepted. */
  async echo(options: OperationOptions = {}): Promise<DimseStatus> {
    return echo(this.#core, options.signal);
  }

  /**
   * C-FIND (PS3.7 section 9.1.2): one item a match. Leaving the loop sends a C-CANCEL.
   *
   * @throws DimseError `no-presentation-context`, `cancelled`, `limit-exceeded`, and errors that ended the association.
   */
  find(request: FindRequest): AsyncGenerator<FindMatch, DimseStatus, void> {
    return find(this.#core, request);
  }

  /**
   * C-GET (PS3.7 section 9.1.3): instances arrive on this association; needs the SCP role for their SOP classes.
   *
   * @throws DimseError `no-presentation-context`, `cancelled`, `response-timeout`, and errors that ended the association.
   */
  async get(request: GetRequest): Promise<RetrieveResult> {
    return getInstances(this.#core, request);
  }

  /** C-MOVE (PS3.7 section 9.1.4): the peer sends instances to the AE title named. @throws DimseError as `get`, `invalid-argument`. */
  async move(request: MoveRequest): Promise<RetrieveResult> {
    return moveInstances(this.#core, request);
  }

  /** N-ACTION (PS3.7 section 10.1.4). @throws DimseError `no-presentation-context`, `cancelled`. */
  async action(request: ActionRequest): Promise<NResult> {
    return nAction(this.#core, request);
  }

  /** N-EVENT-REPORT (PS3.7 section 10.1.1). @throws DimseError `no-presentation-context`, `cancelled`. */
  async eventReport(request: EventReportRequest): Promise<NResult> {
    return nEventReport(this.#core, request);
  }

  /** Waits for queued operations, then releases the association (PS3.8 section 7.2). Never rejects. */
  async release(): Promise<void> {
    if (!this.#core.hasEnded) await this.#core.queue.whenIdle();
    // An early byte whose instance was cancelled requires a P-DATA: a C-ECHO has no side effects.
    if (this.#core.transport.isCommitted && !this.#core.hasEnded) {
      if (this.#core.contexts.findAny(UID.verification) === undefined) {
        this.#core.abort(new DimseError('association-ended', 'closed locally after an early byte'));
        return;
      }
      await echo(this.#core, undefined).catch(() => undefined);
    }
    await this.#core.release();
  }

  /** A-ABORT (PS3.8 section 7.3). Queued or unanswered operations fail with `association-ended`. */
  abort(): void {
    this.#core.abort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release();
  }
}
