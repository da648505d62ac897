import type { RetrieveProblem, RetrieveProgress } from '@dicom-dispatch/target-kit';

const maxProblems = 100;

/** Counts arrived, failed and remaining instances, and reports them after each step. */
export class RetrieveTally {
  readonly #report: (progress: RetrieveProgress) => void;
  readonly #problems: RetrieveProblem[] = [];
  #completed = 0;
  #failed = 0;
  #total: number | undefined;

  constructor(report: (progress: RetrieveProgress) => void) {
    this.#report = report;
  }

  get progress(): RetrieveProgress {
    const remaining = this.#total === undefined ? undefined : this.#total - this.#completed - this.#failed;
    return { completed: this.#completed, failed: this.#failed, remaining };
  }

  /** The last progress, with the failures. */
  get result(): RetrieveProgress {
    return this.#problems.length === 0 ? this.progress : { ...this.progress, problems: this.#problems };
  }

  /** Sets the total number of instances, including existing ones. */
  total(count: number): void {
    this.#total = count;
    this.#report(this.progress);
  }

  completed(): void {
    this.#completed += 1;
    this.#report(this.progress);
  }

  /** Counts a failed instance that is not among the known ones. */
  failedBesides(problem: RetrieveProblem): void {
    this.#total = (this.#total ?? 0) + 1;
    this.failed(problem);
  }

  failed(problem: RetrieveProblem): void {
    this.#failed += 1;
    if (this.#problems.length < maxProblems) this.#problems.push(problem);
    this.#report(this.progress);
  }
}

/** An instance that can neither be requested nor stored because of its UID. */
export function malformedName(sopInstanceUid: string): RetrieveProblem {
  // The UID is written to terminals and logs unchanged.
  const sopInstance = /^[!-~]{1,64}$/.test(sopInstanceUid) ? { sopInstanceUid } : {};
  return { ...sopInstance, reason: 'its SOP Instance UID is malformed' };
}

/** An instance that the target lists twice, so the two cannot be distinguished. */
export function listedTwice(sopInstanceUid: string): RetrieveProblem {
  return {
    sopInstanceUid,
    reason: 'the target lists it twice: as of two patients, or of two series that share it; only one can be asked for',
  };
}
