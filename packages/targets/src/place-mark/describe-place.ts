import type { PlaceFound } from './place-mark.ts';

const descriptions: Readonly<Record<PlaceFound, string>> = {
  known: 'the folder is the one that the target was configured with',
  new: 'the folder is not marked yet; the first delivery marks it',
  'taken over': 'the folder has a mark; the next delivery remembers it',
  'marked again':
    'the folder is the one that the target was configured with; its mark was removed, the next delivery marks it',
};

/** Text of a finding, for a connection test. @param isCompared - whether stored data were available for comparison */
export function describePlace(found: PlaceFound, isCompared: boolean): string {
  if (isCompared || found === 'new') return descriptions[found];
  return 'the folder has a mark; it was not compared with Redis';
}
