export { startRouter, type RouterOptions } from './start-router.ts';
export { NotesFile, type NotesPlace } from './recovery/notes-file.ts';
