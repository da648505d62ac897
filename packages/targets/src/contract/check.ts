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
}
