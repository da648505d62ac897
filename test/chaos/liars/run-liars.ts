import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { hashDataset, httpRequest, startLyingProxy, startRedis, tempFolder, waitFor } from '@dicom-dispatch/harness';
import { makeStudy } from '@dicom-dispatch/samples';
import { startDispatch, type RunningDispatch } from '../../e2e/support/start-dispatch.ts';
import { seededRandom } from '../random.ts';
import type { LiarScene } from './liar-scene.ts';
import { startLyingScpLink } from './lying-scp-link.ts';
import { makeLies } from './make-lies.ts';
import { isSame, receivedBy, targets, type Target } from './received-by.ts';

const ends = new Set(['delivered', 'partial', 'failed', 'cancelled', 'source-gone', 'resolved']);
/** How long the source lies after the last upload: while it cannot be read, nothing reaches a receiver. */
const sourceLiesMs = 2_000;
/** Receivers lie until each has sent this many lies, but no longer than this. */
const liesOfEach = 4;
const receiversLieMs = 6_000;
const restMs = 300_000;

export interface LiarVerdict {
  readonly seed: number;
  readonly instances: number;
  /** Number of lies, by server. */
  readonly lies: Readonly<Record<string, number>>;
  /** Instances that are missing at a target at the end, or differ there. */
  readonly missing: number;
  /** Instances that were called delivered while the target lacked them, at any moment. */
  readonly falselyDelivered: number;
  /** Deliveries that ended because of a lie and were completed by an operator's retry. */
  readonly retried: number;
  readonly isQuiet: boolean;
  readonly logs: string;
}

interface Delivery {
  readonly deliveryId: string;
  readonly target: Target;
  readonly state: string;
  readonly studyInstanceUid: string;
  readonly confirmed: number;
  readonly error?: { readonly code: string; readonly message: string };
}

/**
 * One schedule: studies arrive while the source and all receivers that can lie do so. Then the lies stop, ended deliveries
 * are retried as an operator would, and the contents of the receivers are compared with the uploads. Throughout, every
 * delivery marked delivered must be at its receiver.
 */
export async function runLiars(seed: number, scene: LiarScene): Promise<LiarVerdict> {
  const random = seededRandom(seed);
  const between = (from: number, to: number): number => Math.round(from + random() * (to - from));
  await using redis = await startRedis();
  await using folder = await tempFolder('liars');
  await using sourceLiar = await startLyingProxy({ url: scene.source.url });
  await using webLiar = await startLyingProxy({ url: scene.web.url });
  await using peerLiar = await startLyingProxy({ url: scene.peer.url });
  await using s3Liar = await startLyingProxy({ url: scene.swift.endpoint, keepHost: true });
  await using scpLiar = await startLyingScpLink({ port: scene.scp.port });
  const bucket = `liars-${seed}-${process.pid}`;
  const s3 = new S3Client({
    endpoint: scene.swift.endpoint,
    region: scene.swift.region,
    forcePathStyle: true,
    credentials: { accessKeyId: scene.swift.accessKeyId, secretAccessKey: scene.swift.secretAccessKey },
  });
  await s3.send(new CreateBucketCommand({ Bucket: bucket }));

  const decoy = makeStudy({ seed: `liars decoy ${seed}`, series: 1, instancesPerSeries: 1, rows: 64, columns: 64 });
  const [decoyFile] = [...decoy];
  const { ID: decoyId } = await scene.source.upload(decoyFile!.bytes);
  const config = configFor();
  const uploaded = new Map<string, { study: string; file: string; dataset: string }>();
  const notes: string[] = [];
  let falselyDelivered = 0;
  let retried = 0;
  let seen: Delivery[] = [];

  await using dispatch = await startDispatch({ config, env: { S3_SECRET: scene.swift.secretAccessKey } });
  // Changes from before the source is first followed are not sent (`startFrom: now`).
  await waitFor(() => dispatch.output().includes('following the change feed'), { message: () => dispatch.output() });
  const lies = makeLies(random, () => `/instances/${decoyId}/file`);
  sourceLiar.lie(lies.source);
  webLiar.lie(lies.dicomweb);
  peerLiar.lie(lies.orthanc);
  s3Liar.lie(lies.s3);
  scpLiar.lie(lies.dicom);

  const studies = between(2, 3);
  for (let study = 0; study < studies; study += 1) await upload(study);
  await watchFor(sourceLiesMs);
  sourceLiar.beHonest();
  const receivers = [webLiar, peerLiar, s3Liar, scpLiar];
  await watchFor(receiversLieMs, () => receivers.every(({ lies }) => lies.length >= liesOfEach));
  for (const liar of receivers) liar.beHonest();
  const isQuiet = await comeToRest();
  const missing = await countMissing();
  const logs =
    missing + falselyDelivered > 0 || !isQuiet ? `${notes.join('\n')}\n${summary()}\n${dispatch.output()}` : '';
  s3.destroy();
  return {
    seed,
    instances: uploaded.size,
    lies: {
      source: sourceLiar.lies.length,
      dicom: scpLiar.lies.length,
      dicomweb: webLiar.lies.length,
      orthanc: peerLiar.lies.length,
      s3: s3Liar.lies.length,
    },
    missing,
    falselyDelivered,
    retried,
    isQuiet,
    logs,
  };

  function configFor(): Record<string, unknown> {
    const quick = { attempts: 30, backoff: { first: '100ms', max: '500ms' } };
    return {
      sources: {
        main: { url: sourceLiar.url, pollInterval: '200ms', timeout: '8s', sweep: { every: '2s', settle: '2s' } },
      },
      targets: {
        dicom: {
          type: 'dicom',
          host: '127.0.0.1',
          port: scpLiar.port,
          calledAeTitle: scene.scp.aet,
          timeout: '4s',
          ...quick,
        },
        dicomweb: {
          type: 'dicomweb',
          url: `${webLiar.url}/dicom-web`,
          verify: random() < 0.5 ? 'qido' : 'none',
          verifyTimeout: '2s',
          timeout: '4s',
          batch: { instances: between(1, 5) },
          ...quick,
        },
        orthanc: { type: 'orthanc', url: peerLiar.url, timeout: '4s', ...quick },
        s3: {
          type: 's3',
          endpoint: s3Liar.url,
          bucket,
          region: scene.swift.region,
          accessKeyId: scene.swift.accessKeyId,
          secretAccessKey: '${S3_SECRET}',
          ...quick,
        },
        folder: { type: 'folder', path: folder.path, minFree: 0, ...quick },
      },
      rules: [{ name: 'all', targets }],
      redis: { url: redis.url },
    };
  }

  async function upload(study: number): Promise<void> {
    // Sometimes an instance exceeds the buffers of a connection, so that a success can come early.
    const isLarge = random() < 0.15;
    const sample = makeStudy({
      seed: `liars ${seed} ${study}`,
      series: 1,
      instancesPerSeries: isLarge ? 1 : between(3, 8),
      rows: isLarge ? 3000 : 48,
      columns: isLarge ? 3000 : 48,
    });
    for (const instance of sample) {
      if (isLarge) scpLiar.large.add(instance.sopInstanceUid);
      await scene.source.upload(instance.bytes);
      uploaded.set(instance.sopInstanceUid, {
        study: sample.studyInstanceUid,
        file: createHash('sha256').update(instance.bytes).digest('hex'),
        dataset: hashDataset(instance.bytes),
      });
    }
  }

  async function watchFor(ms: number, isEnough = (): boolean => false): Promise<void> {
    const until = Date.now() + ms;
    while (Date.now() < until && !isEnough()) {
      await look();
      await sleep(300);
    }
  }

  /** Finds deliveries that were marked delivered since the last check, and compares them with their receivers. */
  async function look(): Promise<void> {
    const before = new Set(seen.filter(({ state }) => state === 'delivered').map(({ deliveryId }) => deliveryId));
    seen = await listDeliveries(dispatch);
    for (const delivery of seen) {
      if (delivery.state !== 'delivered' || before.has(delivery.deliveryId)) continue;
      // The decoy is routed as well.
      if (instancesOf(delivery.studyInstanceUid).length === 0) continue;
      const meant = instancesOf(delivery.studyInstanceUid).length;
      let lacking = 0;
      await waitFor(
        async () => {
          lacking = delivery.confirmed - meant + (await lackingAt(delivery.target, delivery.studyInstanceUid));
          return lacking <= 0;
        },
        { timeoutMs: delivery.target === 's3' ? 15_000 : 1, intervalMs: 500 },
      ).catch(() => {});
      lacking = Math.max(0, lacking);
      if (lacking > 0)
        notes.push(`${delivery.target} ${delivery.deliveryId}: ${lacking} of ${delivery.confirmed} are not there`);
      falselyDelivered += lacking;
    }
  }

  async function comeToRest(): Promise<boolean> {
    const retries = new Map<string, number>();
    return waitFor(
      async () => {
        await look();
        for (const { deliveryId, state } of seen) {
          if (!ends.has(state) || state === 'delivered' || (retries.get(deliveryId) ?? 0) >= 3) continue;
          retries.set(deliveryId, (retries.get(deliveryId) ?? 0) + 1);
          retried = retries.size;
          await retry(deliveryId);
        }
        return (
          seen.filter(({ studyInstanceUid }) => instancesOf(studyInstanceUid).length > 0).length >=
            studies * targets.length && seen.every(({ state }) => state === 'delivered')
        );
      },
      { timeoutMs: restMs, intervalMs: 500, message: summary },
    ).then(
      () => true,
      () => false,
    );
  }

  async function retry(deliveryId: string): Promise<void> {
    await httpRequest(`${dispatch.url}/api/deliveries/${deliveryId}/retry`, {
      method: 'POST',
      headers: { origin: dispatch.url, 'sec-fetch-site': 'same-origin' },
    });
  }

  async function countMissing(): Promise<number> {
    let count = 0;
    for (const study of new Set([...uploaded.values()].map((one) => one.study))) {
      for (const target of targets) {
        let lacking = Infinity;
        // Swift lists an object some time after it has confirmed it.
        await waitFor(async () => (lacking = await lackingAt(target, study)) === 0, {
          timeoutMs: target === 's3' ? 15_000 : 1,
          intervalMs: 500,
        }).catch(() => {});
        if (lacking > 0) notes.push(`${target} ${study}: ${lacking} missing in the end`);
        count += lacking;
      }
    }
    return count;
  }

  async function lackingAt(target: Target, study: string): Promise<number> {
    const there = await receivedBy(target, study, { scene, folder: folder.path, s3, bucket });
    return instancesOf(study).filter(([uid, one]) => !isSame(target, one, there.get(uid))).length;
  }

  function instancesOf(study: string) {
    return [...uploaded].filter(([, one]) => one.study === study);
  }

  function summary(): string {
    return seen
      .map(({ target, state, error }) => `${target} ${state}${error ? ` ${error.code}: ${error.message}` : ''}`)
      .join('\n');
  }
}

async function listDeliveries(dispatch: RunningDispatch): Promise<Delivery[]> {
  const { body } = await dispatch.get('/api/deliveries?limit=500');
  return (body as { deliveries: Delivery[] }).deliveries;
}
