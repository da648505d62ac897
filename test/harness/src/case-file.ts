import { readFile } from 'node:fs/promises';

/** A file of `test/fixtures/cases`: small instances that archives keep although something is odd about them. */
export function caseFile(name: string): Promise<Buffer> {
  return readFile(new URL(`../../fixtures/cases/${name}`, import.meta.url));
}
