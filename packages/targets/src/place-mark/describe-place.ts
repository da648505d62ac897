import type { PlaceFound } from './place-mark.ts';

const descriptions: Readonly<Record<PlaceFound, string>> = {
  known: 'the folder is the one that the target was configured with',
  new: 'the folder is not marked yet; the first delivery marks it',
  'taken over': 'the folder has a mark; the next delivery remembers it',
  'marked again':
    'the folder is the one that the target was configured with; its mark was removed, the next delivery marks it',
};

/** Result of a connection test about the place. @param isCompared - whether there was something to compare it with */
export function describePlace(found: PlaceFound, isCompared: boolean): string {
  if (isCompared || found === 'new') return descriptions[found];
  return 'the folder has a mark; it was not compared with Redis';
}
