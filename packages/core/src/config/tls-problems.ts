import type { Config } from './config-schema.ts';
import type { Problem } from './problem.ts';

/** Blocks of TLS options with which no connection is possible. */
export function tlsProblems(config: Config): Problem[] {
  const problems: Problem[] = [];
  const { sources, targets, redis, console } = config;
  collect({ sources, targets, redis, console: { audit: console.audit } }, []);
  return problems;

  function collect(value: unknown, path: readonly string[]): void {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return;
    if (path.at(-1) === 'tls') problems.push(...problemsOf(value as TlsBlock, path));
    for (const [key, item] of Object.entries(value)) collect(item, [...path, key]);
  }
}

interface TlsBlock {
  readonly cert?: string;
  readonly key?: string;
  readonly profile?: string;
  readonly minVersion?: string;
}

function problemsOf({ cert, key, profile, minVersion }: TlsBlock, path: readonly string[]): Problem[] {
  const problems: Problem[] = [];
  if (cert !== undefined && key === undefined) {
    problems.push({ path: [...path, 'cert'], message: 'is set without key: also set the file of its private key' });
  }
  if (key !== undefined && cert === undefined) {
    problems.push({ path: [...path, 'key'], message: 'is set without cert: also set the file of the certificate' });
  }
  // PS3.15 section B.11: TLS 1.2 only.
  if (profile === 'bcp195-extended' && minVersion === 'TLSv1.3') {
    const message =
      'TLSv1.3 is not supported by the profile bcp195-extended (TLS 1.2): use another profile, or remove minVersion';
    problems.push({ path: [...path, 'minVersion'], message });
  }
  return problems;
}
