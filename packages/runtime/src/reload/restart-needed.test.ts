import type { Config } from '@dicom-dispatch/core';
import { expect, it } from 'vitest';
import { restartNeeded } from './restart-needed.ts';

const withUrl = (publicUrl?: string): Config =>
  ({ console: { listen: '127.0.0.1:8080', publicUrl }, health: {}, logging: {}, dispatcher: {} }) as unknown as Config;

it('a console needs a restart if its public address changes between http and https, and only then', () => {
  const address = 'https://dispatch.example.org';
  expect(restartNeeded(withUrl(), withUrl(address))).toEqual(['console.publicUrl']);
  expect(restartNeeded(withUrl(address), withUrl('http://127.0.0.1:8080'))).toEqual(['console.publicUrl']);
  expect(restartNeeded(withUrl(address), withUrl('https://other.example.org'))).toEqual([]);
  expect(restartNeeded(withUrl(), withUrl('http://127.0.0.1:8080'))).toEqual([]);
});
