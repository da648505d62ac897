export { compareContent, heldFiles, sha256Of, tagIn, type FileStore, type FoundFile } from './held-files.ts';
export { heldByUid } from './held-uids.ts';
