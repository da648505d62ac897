/** Maximum number of doubts of a search that does not fail: with more the target itself is the cause. */
export const maxDoubts = 10;

/** The doubt about a study whose series a target cannot list. */
export function seriesNotListed(studyInstanceUid: string, { message }: Error): string {
  return `it does not list the series of the study ${studyInstanceUid} (${message})`;
}
