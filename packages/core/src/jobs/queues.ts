/** The prefix of every key: one hash tag, so that all of them are in one slot of a Redis Cluster. */
export const defaultPrefix = '{dicom-dispatch}';

/** The queue of study tasks, the flow parents. */
export const studyQueue = 'study';

const targetQueuePrefix = 'target-';

/** The queue of a target's deliveries. */
export function targetQueue(target: string): string {
  return targetQueuePrefix + target;
}

/** The target of a delivery queue; undefined for other queues. */
export function targetOfQueue(queue: string): string | undefined {
  return queue.startsWith(targetQueuePrefix) ? queue.slice(targetQueuePrefix.length) : undefined;
}
