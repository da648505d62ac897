import { redisKeys } from '@dicom-dispatch/state/keys';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SourceConfig } from '@dicom-dispatch/core';
import type { Records } from '@dicom-dispatch/state/records';
import type { OrthancClient, Study } from '@dicom-dispatch/orthanc';
import type { Logger, Redis } from '@dicom-dispatch/runtime';
import { sourceError } from '@dicom-dispatch/sources';
import type { FeedStore } from './feed-state.ts';
import { timestamp } from './follow-feed.ts';

const pageSize = 100;

export interface SweepSetting {
  readonly source: string;
  readonly config: SourceConfig;
  readonly orthanc: OrthancClient;
  readonly records: Records;
  readonly store: FeedStore;
  readonly redis: Redis;
  readonly prefix: string;
  route(orthancStudyId: string, epoch: number): Promise<unknown>;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

export interface SweepResult {
  readonly studies: number;
  readonly routed: number;
  readonly durationMs: number;
}

/**
 * Compares all studies in the source with what was routed, page by page, and routes what is missing or has changed
 * since. Where it stands is kept in Redis: a sweep that was interrupted goes on there.
 *
 * A study is left alone when its record has its present LastUpdate, when it is older than the configured start, or
 * while it still changes.
 */
export async function sweepSource(setting: SweepSetting): Promise<SweepResult> {
  const { source, config, orthanc, records, redis, prefix, log, signal } = setting;
  const placeKey = redisKeys(prefix).sweep(source);
  const startedAt = Date.now();
  const feed = await setting.store.read();
  const since = feed?.since ?? '';
  let place = Number((await redis.hget(placeKey, 'place')) ?? 0);
  let studies = 0;
  let routed = 0;
  for (;;) {
    signal.throwIfAborted();
    const page = await orthanc.studies.list({ since: place, limit: pageSize }, { signal }).catch((error: unknown) => {
      throw sourceError(error, source);
    });
    studies += page.length;
    for (const study of await needed(page)) {
      await setting.route(study.ID, feed?.epoch ?? 1);
      routed += 1;
    }
    if (page.length < pageSize) break;
    // Studies deleted meanwhile move the others up: half a page is looked at twice rather than one study never.
    place += pageSize / 2;
    await redis.hset(placeKey, 'place', place);
    if (config.sweep.pause > 0) await sleep(config.sweep.pause, undefined, { signal });
  }
  const result = { studies, routed, durationMs: Date.now() - startedAt };
  await redis.hset(placeKey, { place: 0, endedAt: Date.now(), studies, routed, durationMs: result.durationMs });
  log.info({ source, ...result }, 'sweep ended');
  return result;

  async function needed(page: readonly Study[]): Promise<Study[]> {
    const settled = timestamp(new Date(Date.now() - config.sweep.settle));
    const due = page.filter(({ LastUpdate: changed, IsStable: isStable }) => {
      if (changed === undefined) return isStable === true;
      return changed >= since && (isStable === true || changed < settled);
    });
    const known = await records.studiesById(
      source,
      due.map(({ ID }) => ID),
    );
    return due.filter(
      (study, index) => known[index]?.lastUpdate === undefined || known[index].lastUpdate !== study.LastUpdate,
    );
  }
}
