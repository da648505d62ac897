import { randomBytes } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DispatchError } from '@dicom-dispatch/core';
import type { ReceiptStore } from './receipts.ts';

const deliveryPattern = /^d-[0-9a-f]{20}$/;
const dayPattern = /^\d{4}-\d{2}-\d{2}$/;
const dayMs = 86_400_000;

export interface ReceiptFolder extends ReceiptStore {
  /** Removes receipts older than their retention. @returns how many days were removed */
  prune(now?: number): Promise<number>;
}

/**
 * Receipts as files `YYYY-MM-DD/DELIVERY.receipt`, by the day on which the delivery was first packed; one folder for all
 * dispatchers and the console. Files are written atomically.
 */
export function receiptsInFolder(folder: string, keepMs: number | 'forever'): ReceiptFolder {
  async function find(deliveryId: string): Promise<string | undefined> {
    const name = nameOf(deliveryId);
    for (const day of (await daysOf(folder)).toReversed()) {
      const path = join(folder, day, name);
      const handle = await open(path).catch(absent);
      if (!handle) continue;
      await handle.close();
      return path;
    }
    return undefined;
  }

  return {
    read: (deliveryId) =>
      attempt(async () => {
        const path = await find(deliveryId);
        return path === undefined ? undefined : await readFile(path);
      }),
    // No comparison: the job lock excludes other writers.
    exchange: (deliveryId, _before, packed) =>
      attempt(async () => {
        const known = await find(deliveryId);
        const day = join(folder, new Date().toISOString().slice(0, 10));
        const path = known ?? join(day, nameOf(deliveryId));
        if (known === undefined) await mkdir(day, { recursive: true, mode: 0o750 });
        const partial = `${path}.${randomBytes(6).toString('hex')}.part`;
        try {
          const handle = await open(partial, 'wx', 0o640);
          try {
            await handle.writeFile(packed);
            await handle.sync();
          } finally {
            await handle.close();
          }
          await rename(partial, path);
          return true;
        } catch (error) {
          await rm(partial, { force: true });
          throw error;
        }
      }),
    prune: (now = Date.now()) =>
      attempt(async () => {
        if (keepMs === 'forever') return 0;
        const last = new Date(now - keepMs - dayMs).toISOString().slice(0, 10);
        const old = (await daysOf(folder)).filter((day) => day < last);
        for (const day of old) await rm(join(folder, day), { recursive: true, force: true });
        return old.length;
      }),
  };
}

function nameOf(deliveryId: string): string {
  if (!deliveryPattern.test(deliveryId)) throw new Error(`no id of a delivery: ${deliveryId}`);
  return `${deliveryId}.receipt`;
}

async function daysOf(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch(absent);
  return (names ?? []).filter((name) => dayPattern.test(name)).sort();
}

function absent(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT') return undefined;
  throw error;
}

async function attempt<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (cause) {
    throw new DispatchError(
      'ledger-unavailable',
      `the folder of receipts cannot be used (${(cause as Error).message})`,
      {
        cause,
      },
    );
  }
}
