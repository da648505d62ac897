import type { Lie, Liar } from '@dicom-dispatch/harness';
import { loginPage } from '@dicom-dispatch/harness';
import { storeLies, type StoreLie } from './lying-scp-link.ts';

/** Draws a number from 0 (included) to 1 (excluded). */
export type Random = () => number;

/** All lies of one schedule, drawn from its seed. */
export interface Liars {
  readonly source: Liar;
  readonly dicom: () => StoreLie | undefined;
  readonly dicomweb: Liar;
  readonly orthanc: Liar;
  readonly s3: Liar;
}

/** How often each server lies during the lying phase. */
const frequency = 0.35;

/** @param otherFile - path of a file of another patient at the source */
export function makeLies(random: Random, otherFile: () => string): Liars {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const between = (from: number, to: number): number => Math.round(from + random() * (to - from));
  const unavailable = (): Lie => ({ kind: 'status', status: pick([403, 404, 429, 500, 502, 503, 504]) });
  const page = (): Lie => ({ kind: 'text', body: loginPage });

  const ofFile: readonly (() => Lie)[] = [
    () => ({ kind: 'short', bytes: between(0, 3_000), framing: pick(['length', 'chunked', 'cut'] as const) }),
    () => ({ kind: 'long', bytes: between(1, 5_000), framing: pick(['length', 'chunked'] as const) }),
    () => ({ kind: 'empty' }),
    () => ({ kind: 'other', path: otherFile() }),
    () => ({ kind: 'reset', bytes: between(0, 3_000) }),
    () => ({ kind: 'chunked' }),
    page,
    unavailable,
  ];
  const ofAnswer: readonly (() => Lie)[] = [
    () => ({ kind: 'empty' }),
    () => ({ kind: 'text', body: '{"status":"ok"}', contentType: 'application/json' }),
    () => ({ kind: 'text', body: '[]', contentType: 'application/json' }),
    () => ({ kind: 'short', bytes: between(1, 200), framing: pick(['length', 'cut'] as const) }),
    page,
    unavailable,
  ];
  const ofStore: readonly (() => Lie)[] = [
    page,
    () => ({ kind: 'text', body: '{"status":"ok"}', contentType: 'application/json' }),
    () => ({ kind: 'text', body: 'stored', contentType: 'text/plain' }),
    () => ({ kind: 'empty' }),
    () => ({ kind: 'reset', bytes: 0 }),
    () => ({ kind: 'short', bytes: between(1, 60), framing: 'cut' }),
    unavailable,
  ];
  const sometimes = (kinds: readonly (() => Lie)[]): Lie | undefined =>
    random() < frequency ? pick(kinds)() : undefined;

  return {
    source({ method, path }) {
      if (/^\/instances\/[^/]+\/file$/.test(path)) return sometimes(ofFile);
      // Requests from the router: lies are rarer here, so that studies reach the receivers at all.
      if (random() < 0.7) return undefined;
      return method === 'GET' || path === '/tools/bulk-content' ? sometimes(ofAnswer) : undefined;
    },
    dicom: () => (random() < frequency ? pick(storeLies) : undefined),
    dicomweb: ({ method }) => sometimes(method === 'POST' ? ofStore : ofAnswer),
    orthanc: ({ method, path }) => {
      if (method === 'POST') {
        const stored = (): Lie => ({
          kind: 'text',
          body: JSON.stringify({ ID: '0'.repeat(8), Path: '/', Status: pick(['Success', 'AlreadyStored']) }),
          contentType: 'application/json',
        });
        return sometimes([...ofStore, stored]);
      }
      return path.startsWith('/instances/') ? sometimes(ofAnswer) : undefined;
    },
    s3: ({ method }) => (method === 'PUT' || method === 'HEAD' ? sometimes(ofStore) : undefined),
  };
}
