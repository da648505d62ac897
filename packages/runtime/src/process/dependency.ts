import type { Config } from '@dicom-dispatch/core';

/** Something a service needs, and whether it is there now. */
export interface DependencyState {
  readonly name: string;
  readonly ok: boolean;
  /** What is wrong, or what was seen; no secrets. */
  readonly detail: string;
  /** False where the service does its work without it, though somebody has to look. Default true. */
  readonly isNeeded?: boolean;
}

/** Something that an operator has to look at, as everybody may know it. */
export interface PublicFinding {
  readonly kind: string;
  readonly severity: string;
  /** Name of a source or target; empty for the whole system. */
  readonly subject: string;
}

/** A running service, as the process that holds it sees it. */
export interface RunningService {
  readonly name: string;
  /** What `/readyz` reports: the service can do its work when all that it needs are ok. */
  dependencies(): Promise<readonly DependencyState[]>;
  /**
   * Takes over another configuration that was checked; what is under way goes on as it began. Changes all or nothing.
   *
   * @throws when it cannot; the former configuration is then still in use
   */
  reload?(config: Config): Promise<void> | void;
  /** The configuration was read again, and is the same. */
  reread?(): Promise<void> | void;
  /** Stops taking work, brings what is under way to a safe point, lets go of everything. */
  stop(): Promise<void>;
}
