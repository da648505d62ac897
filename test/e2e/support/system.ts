import { Records, type DeliveryRecord } from '@dicom-dispatch/state/records';
import {
  hashDataset,
  startOrthanc,
  startRedis,
  waitFor,
  type OrthancServer,
  type RedisServer,
} from '@dicom-dispatch/harness';
import { makeStudy, type SampleStudy, type StudyOptions } from '@dicom-dispatch/samples';
import { Redis } from 'ioredis';

export const prefix = '{dicom-dispatch}';

/** A real Orthanc, a real Redis and access to the records: what every test of the whole system needs. */
export interface System extends AsyncDisposable {
  readonly orthanc: OrthancServer;
  readonly redis: RedisServer;
  readonly records: Records;
  /** A connection for inspection. */
  readonly client: Redis;
  /** Sources and Redis of a configuration; the test supplies targets and rules. */
  config(targets: Readonly<Record<string, object>>, more?: Readonly<Record<string, unknown>>): Record<string, unknown>;
  /** Creates and uploads a study; returns its SOP Instance UIDs with the hash of each data set. */
  upload(options: StudyOptions): Promise<UploadedStudy>;
  /** The delivery of a study to a target once it is in one of the states. */
  untilDelivery(
    study: UploadedStudy,
    target: string,
    states: readonly DeliveryRecord['state'][],
  ): Promise<DeliveryRecord>;
}

export interface UploadedStudy {
  readonly study: SampleStudy;
  readonly studyInstanceUid: string;
  readonly orthancStudyId: string;
  readonly datasets: ReadonlyMap<string, string>;
}

export async function startSystem(orthancOptions: Parameters<typeof startOrthanc>[0] = {}): Promise<System> {
  const [orthanc, redis] = await Promise.all([startOrthanc(orthancOptions), startRedis()]);
  const client = new Redis(redis.url, { maxRetriesPerRequest: null });
  client.on('error', () => {});
  const records = new Records(client, prefix);
  return {
    orthanc,
    redis,
    records,
    client,
    config: (targets, more = {}) => ({
      sources: { main: { url: orthanc.url, pollInterval: '200ms' } },
      targets,
      rules: [{ name: 'all', targets: Object.keys(targets) }],
      redis: { url: redis.url },
      ...more,
    }),
    async upload(options) {
      const study = makeStudy(options);
      const datasets = new Map<string, string>();
      let orthancStudyId = '';
      for (const instance of study) {
        ({ ParentStudy: orthancStudyId } = await orthanc.upload(instance.bytes));
        datasets.set(instance.sopInstanceUid, hashDataset(instance.bytes));
      }
      return { study, studyInstanceUid: study.studyInstanceUid, orthancStudyId, datasets };
    },
    async untilDelivery(study, target, states) {
      let seen: DeliveryRecord[] = [];
      return waitFor(
        async () => {
          seen = (await records.deliveriesOfUid(study.studyInstanceUid, 'main')).filter((one) => one.target === target);
          return seen.find(({ state }) => states.includes(state));
        },
        {
          message: () =>
            `delivery to ${target} in ${states.join('/')}; seen ${JSON.stringify(seen.map(({ state, stage, error, confirmed }) => ({ state, stage, error, confirmed })))}`,
        },
      );
    },
    async [Symbol.asyncDispose]() {
      client.disconnect();
      await Promise.all([orthanc.stop(), redis.stop()]);
    },
  };
}
