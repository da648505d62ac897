import { testTarget } from '@dicom-dispatch/operations/pull';
import type { Config } from '@dicom-dispatch/core';
import type { Redis } from '@dicom-dispatch/runtime';
import type { Check } from '@dicom-dispatch/target-kit';
import { exitCodes } from '../exit.ts';
import { readConfig } from '../read-config.ts';
import { formatTable } from './print-table.ts';
import { tryRedis } from './try-redis.ts';
import { untilInterrupted } from './until-interrupted.ts';

interface Options {
  readonly config: string;
  readonly json?: boolean;
}

const signs = { passed: 'ok', failed: 'FAILED', skipped: 'skipped' } as const;

/**
 * Runs the checks of a target and prints them as a table. Needs neither Redis nor a running service; if Redis responds, the data
 * that it has about the target are compared as well.
 */
export async function testTargetNow(target: string, options: Options): Promise<void> {
  const config = await readConfig(options.config);
  const checks: Check[] = [];
  let isClosed = false;
  const redis = await tryRedis(config);
  redis?.on('error', () => {});
  try {
    await untilInterrupted('stopped', async (signal) => {
      for await (const check of testTarget({ config: () => config, ...(redis && { redis }) }, target, signal)) {
        if (process.stderr.isTTY && options.json !== true) process.stderr.write(`\r\u001B[K${check.name} …`);
        checks.push(check);
      }
    });
    if (redis && hasPassed(checks)) isClosed = await closeCircuitOf(config, redis, target);
  } finally {
    redis?.disconnect();
  }
  if (process.stderr.isTTY && options.json !== true) process.stderr.write('\r\u001B[K');
  if (options.json === true) console.log(JSON.stringify(checks));
  else {
    console.log(
      formatTable(
        ['check', 'result', 'ms', 'detail'],
        checks.map(({ name, result, durationMs, detail }) => [name, signs[result], Math.round(durationMs), detail]),
      ),
    );
  }
  if (isClosed && options.json !== true)
    console.log(`The circuit of ${target} is closed: waiting deliveries continue now.`);
  const failed = checks.filter(({ result }) => result === 'failed');
  for (const { name, remedy } of failed) if (remedy !== undefined) console.error(`${name}: ${remedy}`);
  if (failed.length > 0) process.exitCode = exitCodes.failed;
}

function hasPassed(checks: readonly Check[]): boolean {
  return checks.some(({ result }) => result === 'passed') && checks.every(({ result }) => result !== 'failed');
}

async function closeCircuitOf(config: Config, redis: Redis, target: string): Promise<boolean> {
  const [{ closeCircuit }, { openPipeline }] = await Promise.all([
    import('@dicom-dispatch/operations'),
    import('@dicom-dispatch/pipeline'),
  ]);
  const context = openPipeline(config, redis);
  try {
    return await closeCircuit(context, target);
  } finally {
    await context.close();
  }
}
