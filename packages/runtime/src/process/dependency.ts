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
  /** Stops taking work, brings what is under way to a safe point, lets go of everything. */
  stop(): Promise<void>;
}
