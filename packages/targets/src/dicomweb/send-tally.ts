import { asDispatchError, DispatchError } from '@dicom-dispatch/core';
import type { DeliveryRun, InstanceOutcome, ManifestInstance } from '@dicom-dispatch/target-kit';
import { verdictOf, type Suspects } from '@dicom-dispatch/target-kit/flow';
import { allRefused, stoppedTaking, unanswered } from './errors.ts';
import type { Unknown } from './judge-batch.ts';
import type { DicomwebTarget } from './schema.ts';

export interface UnknownInstance {
  readonly instance: ManifestInstance;
  readonly why: Unknown;
  readonly warning?: string | undefined;
}

/** The first postponed failure, and the number of them. */
export interface PutOff {
  readonly error: DispatchError;
  readonly count: number;
}

/** After this number of consecutive temporary failures of instances, the target is at fault. */
const maxInRow = 20;
/** The same for consecutive instances without a response, each one alone in its request. */
const maxUnansweredInRow = 3;

/** Counts the results of the instances of one run, to determine whether the target or the instances are at fault. */
export class SendTally {
  readonly unknown: UnknownInstance[] = [];
  /** Quarantined now. */
  readonly quarantined = new Set<ManifestInstance>();
  putOff: PutOff | undefined;
  readonly #run: DeliveryRun<DicomwebTarget>;
  readonly #suspects: Suspects;
  readonly #refused: { readonly instance: ManifestInstance; readonly error: DispatchError }[] = [];
  /** Whether the target has accepted an instance in this attempt: earlier ones do not show its current state. */
  #someTaken = false;
  #failedInRow = 0;
  #unansweredInRow = 0;

  constructor(run: DeliveryRun<DicomwebTarget>, suspects: Suspects) {
    this.#run = run;
    this.#suspects = suspects;
  }

  /** @param begun - result of `Suspects.begin` before it was sent */
  async delivered(
    instance: ManifestInstance,
    outcome: InstanceOutcome & { readonly kind: 'delivered' },
    begun: number,
  ): Promise<void> {
    this.#failedInRow = 0;
    this.#unansweredInRow = 0;
    this.#someTaken = true;
    await this.#suspects.passed(instance, begun);
    await this.#run.report(instance, outcome);
  }

  async quarantine(instance: ManifestInstance, error: DispatchError): Promise<void> {
    this.#run.log.warn('instance quarantined', { sopInstanceUid: instance.sopInstanceUid, code: error.code });
    this.quarantined.add(instance);
    await this.#run.report(instance, { kind: 'quarantined', error });
  }

  /** An instance was not stored now. It is quarantined if it has failed too often while others succeeded. */
  async failed(instance: ManifestInstance, thrown: DispatchError): Promise<void> {
    const error = asDispatchError(await this.#suspects.judge(instance, thrown));
    if (verdictOf(error) === 'quarantine') await this.quarantine(instance, error);
    else this.later(error);
  }

  /** An instance was sent alone and got no response, while the service responds to searches. */
  async unanswered(instance: ManifestInstance, error: DispatchError): Promise<void> {
    this.#unansweredInRow += 1;
    if (this.#unansweredInRow >= maxUnansweredInRow) throw error;
    await this.failed(instance, unanswered(error));
  }

  /** @throws {DispatchError} when too many have failed in a row */
  later(error: DispatchError): void {
    this.putOff = { error: this.putOff?.error ?? error, count: (this.putOff?.count ?? 0) + 1 };
    this.#failedInRow += 1;
    if (this.#failedInRow >= maxInRow) throw error;
  }

  /** An instance was rejected alone and without a reason: `end` determines the cause. */
  async refuse(instance: ManifestInstance, error: DispatchError): Promise<void> {
    const failure = new DispatchError('instance-failed', error.message, { cause: error, remedy: error.remedy });
    const judged = asDispatchError(await this.#suspects.judge(instance, failure));
    if (verdictOf(judged) === 'quarantine') return this.quarantine(instance, judged);
    this.#refused.push({ instance, error });
    if (!this.#someTaken && this.#refused.length >= maxInRow) throw allRefused(this.#refused.length, error);
  }

  /**
   * An instance that was rejected without a reason is at fault if another one, sent afterwards, was accepted. If the target rejects all
   * from some instance on (a quota, a licence, an expired permission), it may be at fault itself: they are sent again, in attempts that
   * count. The target is usable as configured if it has ever accepted an instance of the study.
   *
   * @throws {DispatchError} `target-misconfigured` if everything of the study was rejected without a reason
   */
  async end(): Promise<void> {
    const [first] = this.#refused;
    if (!first) return;
    const { guilty = [], open = [] } = Object.groupBy(this.#refused, ({ instance }) =>
      this.#suspects.isOutlived(instance) ? 'guilty' : 'open',
    );
    for (const { instance, error } of guilty) {
      await this.#suspects.forget(instance);
      await this.quarantine(instance, error);
    }
    if (open.length > 0 && !this.#someTaken && !this.#tookBefore(open.length))
      throw allRefused(open.length, first.error);
    for (const { error } of open) this.later(stoppedTaking(error));
  }

  /**
   * Instances quarantined in earlier attempts prove little about the target, but a single remaining instance is suspect
   * because of them.
   */
  #tookBefore(open: number): boolean {
    const { manifest, pending, quarantined = [] } = this.#run;
    const ended = manifest.length - pending.length;
    return ended > quarantined.length || (open === 1 && ended > 0);
  }
}
