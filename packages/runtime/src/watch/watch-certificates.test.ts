import { writeFile } from 'node:fs/promises';
import type { Config } from '@dicom-dispatch/core';
import { makeCertificates, tempFolder } from '@dicom-dispatch/harness';
import { expect, it } from 'vitest';
import { dueWords, validityOf } from '../config/pem-files.ts';
import { dueCertificates, watchCertificates } from './watch-certificates.ts';
import type { ProcessNotes } from './watch-redis.ts';

const dayMs = 24 * 3_600_000;

function configOf(targets: Record<string, unknown>): Config {
  return { sources: {}, targets, redis: {}, push: {}, console: {} } as unknown as Config;
}

it('reports expired certificates of targets in use, and authorities of which none is valid', async () => {
  const { ca, server, expiredServer: expired } = await makeCertificates();
  await using folder = await tempFolder('certificates');
  const several = `${folder.path}/several.pem`;
  await writeFile(several, expired.cert + ca.cert);
  const pacs = { type: 'dicom-tls', host: 'pacs', calledAeTitle: 'P' };
  const config = configOf({
    good: { ...pacs, tls: { ca: several, cert: server.certFile, key: server.keyFile } },
    off: { ...pacs, enabled: false, tls: { ca: expired.certFile } },
    gone: { ...pacs, tls: { ca: '/nowhere/ca.pem' } },
    old: { ...pacs, tls: { ca: expired.certFile, cert: several, key: server.keyFile } },
  });
  const until = Date.parse('2020-01-02T00:00Z');
  const expected = [
    { option: 'targets.old.tls.ca', from: until - dayMs, until },
    // A chain is valid as long as all its certificates are.
    { option: 'targets.old.tls.cert', from: expect.any(Number), until },
  ];
  expect(await dueCertificates(config)).toEqual(expected);
  const noted: ProcessNotes[] = [];
  const watching = watchCertificates(() => config, { note: (notes) => void noted.push(notes) });
  await watching.look();
  watching.stop();
  expect(noted.at(-1)).toEqual({ certificates: expected });
});

it('describes a certificate from 14 days before its end, with the day', () => {
  const [from, until] = [Date.parse('2026-03-04T00:00Z'), Date.parse('2027-03-04T00:00Z')];
  const words = (now: number) => dueWords({ from, until }, now);
  expect(words(from - 1)).toBe('is not valid before 2026-03-04');
  expect(words(from)).toBeUndefined();
  expect(words(until - 14 * dayMs - 1)).toBeUndefined();
  expect(words(until - 14 * dayMs)).toBe('expires on 2027-03-04');
  expect(words(until)).toBe('expired on 2027-03-04');
  expect(validityOf('cert', 'no certificate')).toBeUndefined();
});
