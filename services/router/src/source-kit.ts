import type { Config, SourceConfig } from '@dicom-dispatch/core';
import type { PipelineContext, StudyEnqueuer } from '@dicom-dispatch/pipeline';
import type { Logger, Redis, RedisWatch } from '@dicom-dispatch/runtime';
import type { OrthancClient } from '@dicom-dispatch/sources';
import type { FeedState } from '@dicom-dispatch/state/feed';
import { PulledStudies } from '@dicom-dispatch/state/priors';
import type { Records } from '@dicom-dispatch/state/records';
import type { Arrivals } from './arrivals.ts';
import type { MisdatedStudies } from './misdated.ts';
import type { PutOff } from './put-off.ts';
import type { SettledStudies } from './recovery/settled.ts';
import { routeOneStudy, type RoutingContext, type RoutingOutcome } from './route-one-study.ts';
import type { SourceTime } from './source-time.ts';
import { StudyRouter } from './study-router.ts';
import type { TakeBack } from './take-back.ts';
import type { WaitingStudies } from './waiting-studies.ts';

/** Objects of one source in this router, whether it leads the source or not. */
export interface SourceKit {
  readonly name: string;
  readonly config: SourceConfig;
  /** The rules as they are now. */
  rules(): Pick<RoutingContext, 'config' | 'rules' | 'cache'>;
  /** All sources, in the order of the configuration. */
  sources(): Config['sources'];
  readonly redis: Redis;
  readonly prefix: string;
  readonly watch: RedisWatch;
  readonly records: Records;
  readonly enqueuer: StudyEnqueuer;
  readonly pipeline: PipelineContext;
  readonly waiting: WaitingStudies;
  readonly putOff: PutOff;
  readonly takeBack: TakeBack;
  readonly time: SourceTime;
  readonly settled: SettledStudies;
  readonly misdated: MisdatedStudies;
  readonly arrivals: Arrivals;
  readonly log: Logger;
  routed(outcome: RoutingOutcome): void;
  forgotten(studies: number): void;
}

/** Routes studies of a source, found by the feed, the sweep or a push. */
export function studyRouterOf(
  kit: SourceKit,
  given: {
    readonly orthanc: OrthancClient;
    feed(): FeedState | undefined;
    readonly signal: AbortSignal;
  },
): StudyRouter {
  const { name, putOff, takeBack, enqueuer, waiting, watch, log } = kit;
  return new StudyRouter({
    ...given,
    source: name,
    putOff,
    now: watch.clock.now,
    async route(orthancStudyId, epoch, recent) {
      const context: RoutingContext = {
        source: name,
        orthanc: given.orthanc,
        ...kit.rules(),
        enqueuer,
        waiting,
        settled: kit.settled,
        records: kit.records,
        pulled: new PulledStudies(kit.redis, kit.prefix),
        now: new Date(await kit.time.now(given.orthanc, given.signal)),
        oldBefore: given.feed()?.firstSeen,
        isMisdated: (id) => kit.misdated.has(id),
        confirm: () => watch.confirm(),
        takeBack: (id) => takeBack.seenOne(id),
        log,
      };
      return routeOneStudy(context, orthancStudyId, epoch, recent);
    },
    routed: (outcome) => kit.routed(outcome),
    forget: (orthancStudyId) => waiting.note(orthancStudyId, []),
    log,
  });
}
