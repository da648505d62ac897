import { parentPort } from 'node:worker_threads';
import { writeGroup, type FileGroup, type GroupAnswer } from './write-group.ts';

/** The first answer, of no group: the thread runs. */
// eslint-disable-next-line unicorn/require-post-message-target-origin -- that is for windows, this is a thread
parentPort?.postMessage({ id: 0, results: [] } satisfies GroupAnswer);

parentPort?.on('message', (group: FileGroup) => {
  // eslint-disable-next-line unicorn/require-post-message-target-origin -- that is for windows, this is a thread
  parentPort?.postMessage({ id: group.id, results: writeGroup(group) } satisfies GroupAnswer);
});
