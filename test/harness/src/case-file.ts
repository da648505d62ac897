import { readFile } from 'node:fs/promises';

/** A file of `test/fixtures/cases`: small non-conforming instances that archives store. */
export function caseFile(name: string): Promise<Buffer> {
  return readFile(new URL(`../../fixtures/cases/${name}`, import.meta.url));
}
