import { testTarget } from '@dicom-dispatch/operations/pull';
import type { Check } from '@dicom-dispatch/targets/contract';
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
 * Runs the checks of a target and prints them as a table. Needs neither Redis nor a running service; where Redis answers, what
 * deliveries keep with the target is compared as well.
 */
export async function testTargetNow(target: string, options: Options): Promise<void> {
  const config = await readConfig(options.config);
  const checks: Check[] = [];
  const redis = await tryRedis(config);
  redis?.on('error', () => {});
  try {
    await untilInterrupted('stopped', async (signal) => {
      for await (const check of testTarget({ config: () => config, ...(redis && { redis }) }, target, signal)) {
        if (process.stderr.isTTY && options.json !== true) process.stderr.write(`\r\u001B[K${check.name} …`);
        checks.push(check);
      }
    });
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
  const failed = checks.filter(({ result }) => result === 'failed');
  for (const { name, remedy } of failed) if (remedy !== undefined) console.error(`${name}: ${remedy}`);
  if (failed.length > 0) process.exitCode = exitCodes.failed;
}
