export { ContentCheck } from './content-check.ts';
export { compareDataSets, type Comparison } from './compare-data-sets.ts';
export { compareContent, heldFiles, sha256Of, tagIn, type FileStore, type FoundFile } from './held-files.ts';
export { heldByUid } from './held-uids.ts';
export { ignoredTags } from './ignored-tags.ts';
