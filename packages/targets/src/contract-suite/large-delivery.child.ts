import { readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { Secret } from '@dicom-dispatch/core';
import { resolveTarget } from '../registry/resolve-target.ts';
import { largeStudy } from './fixture-study.ts';
import { TestDelivery } from '@dicom-dispatch/target-kit/testing';

/**
 * Delivers one large instance and reports the memory growth of its process, without the noise of a test runner.
 * Standard input: `{ sizeBytes, config }`, secrets as `{ "secret": text }`.
 */
const { sizeBytes, config } = JSON.parse(await text(process.stdin), (_key, value: unknown) =>
  isSecret(value) ? new Secret(value.secret) : value,
) as { sizeBytes: number; config: { type: string } };
const { handler } = await resolveTarget('under-test', config as never);
const delivery = new TestDelivery(handler, largeStudy(sizeBytes));
const parsed = handler.schema.parse(config);
const beforeBytes = process.memoryUsage.rss();
const start = performance.now();
const { error, sentBytes } = await delivery.attempt(parsed);
process.stdout.write(
  JSON.stringify({
    error: error && { code: error.code, message: error.message, cause: String(error.cause) },
    sentBytes,
    growthBytes: peakBytes() - beforeBytes,
    ms: Math.round(performance.now() - start),
  }),
);

/** Peak memory of this process: the maxRSS of Node starts with that of the parent process. */
function peakBytes(): number {
  const [, kilobytes] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
  return Number(kilobytes) * 1024;
}

function isSecret(value: unknown): value is { secret: string } {
  return typeof value === 'object' && value !== null && Object.keys(value).join() === 'secret';
}
