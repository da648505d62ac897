import type { Config } from '@dicom-dispatch/core';

/** Something that a service needs, and whether it is available now. */
export interface DependencyState {
  readonly name: string;
  readonly ok: boolean;
  /** The problem or the observed state; no secrets. */
  readonly detail: string;
  /** False if the service can work without it, though an operator should check it. Default true. */
  readonly isNeeded?: boolean;
}

/** A finding for operators, in its public form. */
export interface PublicFinding {
  readonly kind: string;
  readonly severity: string;
  /** Name of a source or target; empty for the whole system. */
  readonly subject: string;
}

/** A running service, as seen by its process. */
export interface RunningService {
  readonly name: string;
  /** Reported by `/readyz`: the service can work if all with `isNeeded` are ok. */
  dependencies(): Promise<readonly DependencyState[]>;
  /**
   * Applies another checked configuration; running work continues with the former one. Changes everything or nothing.
   *
   * @throws if it cannot be applied; the former configuration is then still in use
   */
  reload?(config: Config): Promise<void> | void;
  /** Called if the configuration was read again and is unchanged, e.g. to reset limits that operators have set. */
  reread?(): Promise<void> | void;
  /** Stops accepting work, brings running work to a safe point, releases everything. */
  stop(): Promise<void>;
}
