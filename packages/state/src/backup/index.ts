export type { KeyEntry, KeyType, StudyEntry } from './key-entry.ts';
export { readKeys, scanNames } from './read-keys.ts';
export { readStudies } from './read-studies.ts';
export { settlePriors } from './settle-priors.ts';
export { writeKeys, writeStudies } from './write-entries.ts';
