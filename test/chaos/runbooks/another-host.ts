import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { httpRequest, waitFor } from '@dicom-dispatch/harness';
import { startDispatch } from '../../e2e/support/start-dispatch.ts';
import { check, startDepartment, type DepartmentConfig } from './scene.ts';

export const title = 'A dispatcher host is added';

export async function walk(): Promise<string[]> {
  await using department = await startDepartment(title);
  const { book, dispatch, main, redis } = department;
  let config: DepartmentConfig | undefined;
  await department.edit((now) => void (config = now));
  await mkdir(join(dispatch.folder, 'other'));
  await copyFile(dispatch.configFile, join(dispatch.folder, 'other', 'dispatch.yaml'));
  const there = join(dispatch.folder, 'other', 'dispatch.yaml');
  await book.type('dispatch config check', { config: there });
  await book.type('dispatch target test pacs', { config: there });
  book.see('dispatch dispatcher -c dispatch.yaml');
  const { console: _, ...same } = config!;
  const second = await startDispatch({ command: 'dispatcher', config: { ...same, redis: { url: redis.url } } });
  try {
    await waitFor(async () => (await book.type('dispatch workers')).out.trim().split('\n').length >= 3, {
      intervalMs: 1_000,
    });
    const uids: string[] = [];
    for (let number = 0; number < 40; number += 1) uids.push(await department.upload(`host ${number}`));
    await department.untilAtPacs(...uids);
    const metrics = (await httpRequest(`${second.url}/metrics`)).body.toString();
    const took = Number(/dispatch_deliveries_ended_total\{[^}]*\} (\d+)/.exec(metrics)?.[1] ?? 0);
    console.log(`      the new dispatcher has ended ${took} deliveries`);
    await second.kill('SIGTERM');
    const later = await department.upload('later');
    await department.untilAtPacs(later);
    check((await main.sopInstanceUids()).length === 41, 'all are in the source');
  } finally {
    await second.stop();
  }
  return book.untried();
}
