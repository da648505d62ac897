import type { TargetMemory } from './delivery-run.ts';

/** One named check of `testConnection`. */
export interface Check {
  /** A short name that stays the same: `resolve`, `connect`, `tls`, `login`, `permission`, `write`, `remove` … */
  readonly name: string;
  readonly result: 'passed' | 'failed' | 'skipped';
  readonly durationMs: number;
  /** What was found, without secrets. */
  readonly detail: string;
  /** What to do about it; only when failed. */
  readonly remedy?: string;
}

export interface CheckContext<Config> {
  readonly config: Config;
  readonly targetName: string;
  readonly signal: AbortSignal;
  /** What deliveries keep with the target, to be read; undefined where the test runs without the state of the system. */
  readonly memory?: TargetMemory | undefined;
}
