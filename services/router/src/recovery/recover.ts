import { openFormat } from '@dicom-dispatch/state/keys';
import { readFeedState, writeFeedState, type FeedState } from '@dicom-dispatch/state/feed';
import type { LossKind } from '@dicom-dispatch/state/generation';
import { endStates } from '@dicom-dispatch/state/records';
import type { PipelineContext } from '@dicom-dispatch/pipeline';
import { toSourceTime } from '@dicom-dispatch/sources';
import { unfinished, type Notes, type SourceNotes } from './notes.ts';
import { SettledStudies } from './settled.ts';
import { SweepNotes } from '../sweep-notes.ts';

/** Result of the recovery of one source. */
export interface SourceReport {
  /**
   * - `notes`: it continues at the position in the notes
   * - `kept`: it continues at the position in Redis
   * - `answered`: an operator has chosen the position
   * - `new`: it was never followed
   */
  readonly how: 'notes' | 'kept' | 'answered' | 'new';
  readonly seq: number | undefined;
  readonly since: string | undefined;
  /** Studies that are routed again because a delivery had not ended. */
  readonly open: number;
  /** Deliveries that Redis had as open, and that had ended. */
  readonly ended: number;
}

/** Start position of a source chosen by an operator, by name; of unknown sources. */
export type Answers = (source: string) => Promise<FeedState | undefined>;

export interface RecoverDependencies {
  readonly context: PipelineContext;
  readonly kind: LossKind;
  readonly notes: Notes | undefined;
  readonly answers: Answers;
}

/**
 * Restores the notes about the time before the loss into Redis: the position in each source, which studies had arrived and
 * which had not. Repeating it changes nothing.
 *
 * @returns the result for each source, or the names of unknown ones: an operator must choose where they begin
 */
export async function recover(
  dependencies: RecoverDependencies,
): Promise<{ readonly reports: Readonly<Record<string, SourceReport>>; readonly unknown: readonly string[] }> {
  const { context, notes } = dependencies;
  const { redis, keys, config, queues } = context;
  await openFormat(redis, config().redis.prefix);
  if (notes && notes.held.length > 0) await redis.sadd(keys.held, ...notes.held);
  for (const target of notes?.pausedTargets ?? []) {
    if (config().targets[target]) await queues.target(target).pause();
  }
  const reports: Record<string, SourceReport> = {};
  const unknown: string[] = [];
  for (const name of Object.keys(config().sources)) {
    const report = await recoverSource(dependencies, name);
    if (report) reports[name] = report;
    else unknown.push(name);
    await new SweepNotes(redis, config().redis.prefix, name).restart();
  }
  return { reports, unknown };
}

async function recoverSource(dependencies: RecoverDependencies, name: string): Promise<SourceReport | undefined> {
  const { context, kind, notes, answers } = dependencies;
  const { redis, config } = context;
  const { prefix } = config().redis;
  const found = await readFeedState(redis, prefix, name);
  const known = notes?.sources.get(name);
  if (notes && known) {
    const feed = found && kind !== 'gone' ? later(found, known.feed) : begin(known);
    await new SettledStudies(redis, prefix, name).write(known.studies);
    await writeFeedState(redis, prefix, name, feed);
    const ended = kind === 'gone' ? 0 : await endKnown(context, known);
    const open = await routeAgain(context, name, known, notes.takenAt);
    return { how: 'notes', seq: feed.seq, since: feed.since, open, ended };
  }
  if (found) return { how: 'kept', seq: found.seq, since: found.since, open: 0, ended: 0 };
  const answer = await answers(name);
  if (answer) {
    await writeFeedState(redis, prefix, name, answer);
    return { how: 'answered', seq: answer.seq, since: answer.since, open: 0, ended: 0 };
  }
  // There are notes of other sources, but not of this one: it was added since.
  return notes ? { how: 'new', seq: undefined, since: undefined, open: 0, ended: 0 } : undefined;
}

/**
 * Where to continue if Redis is empty. Studies that changed at or after `completeFrom` and are not in the notes were never
 * routed; earlier ones are unknown, so they are not routed.
 */
function begin({ feed, completeFrom, skewMs }: SourceNotes): FeedState {
  const from = completeFrom === 0 ? '' : toSourceTime(completeFrom + skewMs - 1_000);
  return { ...feed, floor: feed.seq, since: from > feed.since ? from : feed.since };
}

/** Redis has an earlier position in the feed: later changes are in the notes. */
function later(found: FeedState, noted: FeedState): FeedState {
  if (noted.epoch < found.epoch || (noted.epoch === found.epoch && noted.seq <= found.seq)) return found;
  return { ...noted, floor: noted.seq };
}

/** Studies with a delivery that had not arrived are routed again, now. */
async function routeAgain(context: PipelineContext, name: string, known: SourceNotes, now: number): Promise<number> {
  const { redis, keys } = context;
  let open = 0;
  for (const [id, study] of known.studies) {
    if (unfinished(study).length === 0) continue;
    open += 1;
    const why = JSON.stringify({ tries: 0, since: now, code: 'recovered', message: 'Redis lost its data' });
    await redis.multi().zadd(keys.feedLater(name), now, id).hset(keys.feedLaterWhy(name), id, why).exec();
  }
  return open;
}

/** Ends deliveries that are open in Redis, and had ended when the notes were taken. */
async function endKnown(context: PipelineContext, { studies }: SourceNotes): Promise<number> {
  const { records } = context;
  let ended = 0;
  for (const { deliveries } of studies.values()) {
    for (const { id, state } of deliveries) {
      const end = endStates.find((one) => one === state);
      if (!end || id === '') continue;
      const record = await records.delivery(id);
      if (!record || endStates.includes(record.state)) continue;
      await records.update(
        id,
        { state: end, endedAt: record.updatedAt, nextAttemptAt: null, worker: null },
        { kind: 'ended', text: `it had ended (${end}) before Redis was set back to an earlier time` },
      );
      ended += 1;
    }
  }
  return ended;
}
