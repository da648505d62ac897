import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { Secret } from '@dicom-dispatch/core';

export interface LargeDelivery {
  readonly error?: { readonly code: string; readonly message: string };
  readonly sentBytes: number;
  /** Peak memory of the process, less its memory before the delivery. */
  readonly growthBytes: number;
  readonly ms: number;
}

/** Delivers the large instance in a separate process. */
export async function deliverLarge(config: object, sizeBytes: number): Promise<LargeDelivery> {
  const script = fileURLToPath(new URL('large-delivery.child.ts', import.meta.url));
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', script], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  child.stdin.end(JSON.stringify({ sizeBytes, config: open(config) }));
  const [out] = await Promise.all([text(child.stdout), once(child, 'close')]);
  return JSON.parse(out) as LargeDelivery;
}

function open(value: unknown): unknown {
  if (value instanceof Secret) return { secret: value.reveal() };
  if (Array.isArray(value)) return value.map(open);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, open(one)]));
}
