import type { Config } from '@dicom-dispatch/core';

/** Something a service needs, and whether it is there now. */
export interface DependencyState {
  readonly name: string;
  readonly ok: boolean;
  /** What is wrong, or what was seen; no secrets. */
  readonly detail: string;
}

/** A running service, as the process that holds it sees it. */
export interface RunningService {
  readonly name: string;
  /** What `/readyz` tells: the service can do its work when all are ok. */
  dependencies(): Promise<readonly DependencyState[]>;
  /**
   * Takes over another configuration that was checked; what is under way goes on as it began. Changes all or nothing.
   *
   * @throws when it cannot; the former configuration is then still in use
   */
  reload?(config: Config): Promise<void> | void;
  /** Stops taking work, brings what is under way to a safe point, lets go of everything. */
  stop(): Promise<void>;
}
