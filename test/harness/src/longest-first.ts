import { BaseSequencer, type TestSpecification } from 'vitest/node';

const first = ['/test/chaos/', '/test/e2e/', '/test/'];

/** Starts with the slowest files, so that workers do not wait for one of them at the end. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification): number => {
      const found = first.findIndex((folder) => moduleId.includes(folder));
      return found === -1 ? first.length : found;
    };
    return (await super.sort(files)).sort((one, other) => place(one) - place(other));
  }
}
