import { BaseSequencer, type TestSpecification } from 'vitest/node';

const slow = ['/test/chaos/', '/test/e2e/'];

/** Begins with the files that take longest: at the end no worker waits for one that began late. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const at = slow.findIndex((folder) => moduleId.includes(folder));
      return at === -1 ? slow.length : at;
    };
    return (await super.sort(files)).toSorted((one, other) => rank(one) - rank(other));
  }
}
