import type { TargetMemory } from './delivery-run.ts';

/** One named check of `testConnection`. */
export interface Check {
  /** A short, stable name: `resolve`, `connect`, `tls`, `login`, `permission`, `write`, `remove` … */
  readonly name: string;
  readonly result: 'passed' | 'failed' | 'skipped';
  readonly durationMs: number;
  /** The finding, without secrets. */
  readonly detail: string;
  /** How to correct the error; only if the check has failed. */
  readonly remedy?: string;
}

export interface CheckContext<Config> {
  readonly config: Config;
  readonly targetName: string;
  readonly signal: AbortSignal;
  /** Values that deliveries have stored with the target, read only; undefined if the test runs without the state of the system. */
  readonly memory?: TargetMemory | undefined;
}
