import { freePort, httpRequest, waitFor } from '@dicom-dispatch/harness';
import { Secret } from '@dicom-dispatch/core';
import { makeStudy, type Attributes, type SampleStudy } from '@dicom-dispatch/samples';
import { Priors, type PriorsStep } from '@dicom-dispatch/state/priors';
import { expect } from 'vitest';
import type { FaultScp } from './fault-scp.ts';
import {
  startRoutingSystem,
  type RawConfig,
  type RoutingSystem,
  type RunningRouting,
  type UploadedStudy,
} from './routing-system.ts';

const secret = 'between us';

export interface StudyMeant {
  readonly patient: string;
  readonly date: string;
  readonly modality?: 'MR' | undefined;
  readonly attributes?: Attributes | undefined;
}

/** Studies of one patient that differ only in what a test specifies. Those with StudyID `NEW` match the rules. */
function optionsOf({ patient, date, modality, attributes }: StudyMeant) {
  const isNew = attributes?.['StudyID'] === 'NEW';
  return {
    seed: `priors ${patient} ${date}`,
    instancesPerSeries: isNew ? 2 : 1,
    rows: 16,
    columns: 16,
    ...(modality && { modality }),
    attributes: {
      PatientID: patient,
      IssuerOfPatientID: 'HOSP',
      StudyDate: date,
      StudyTime: '120000',
      StudyID: 'OLD',
      ...attributes,
    },
  };
}

export function priorStudy(meant: StudyMeant): SampleStudy {
  return makeStudy(optionsOf(meant));
}

/** A source in which no study becomes stable on a timer: the tests trigger it, as the plugin does. */
export async function startPriorsSystem() {
  const system = await startRoutingSystem({ stableAgeSeconds: 3_600 });
  const port = await freePort();

  /** Reports that a study is stable. */
  async function stable({ orthancStudyId }: Pick<UploadedStudy, 'orthancStudyId'>): Promise<void> {
    const answer = await httpRequest(`http://127.0.0.1:${port}/sources/main/studies/${orthancStudyId}/stable`, {
      method: 'POST',
      headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
      body: '{}',
    });
    expect(answer.status, answer.body.toString()).toBe(200);
  }
  const upload = (meant: StudyMeant): Promise<UploadedStudy> => system.upload(optionsOf(meant));
  return {
    system: system as RoutingSystem,
    stable,
    upload,
    async uploadNew(patient: string, date: string): Promise<UploadedStudy> {
      const study = await upload({ patient, date, attributes: { StudyID: 'NEW' } });
      await stable(study);
      return study;
    },
    start(raw: RawConfig): Promise<RunningRouting> {
      const main = {
        url: system.orthanc.url,
        pollInterval: '100ms',
        pushSecret: new Secret(secret),
        sweep: { every: '1h' },
      };
      return system.start({ sources: { main }, push: { listen: `127.0.0.1:${port}` }, ...raw });
    },
  };
}

/** The one rule of these tests. */
export function ruleWith(priors: object, more: object = {}): object {
  return { name: 'new', when: 'study.StudyID == "NEW"', targets: ['pacs'], priors, ...more };
}

export async function stepOf(
  run: RunningRouting,
  study: Pick<UploadedStudy, 'orthancStudyId'>,
  isMeant = ({ state }: PriorsStep): boolean => state === 'done',
): Promise<PriorsStep> {
  const priors = new Priors(run.connection, run.config.redis.prefix);
  let seen: readonly PriorsStep[] = [];
  return waitFor(
    async () => {
      seen = await priors.of({ source: 'main', orthancStudyId: study.orthancStudyId });
      return seen.find(isMeant);
    },
    { message: () => `priors; seen ${JSON.stringify(seen)}` },
  );
}

/** SOP Instance UIDs received, in order. */
export const got = (pacs: FaultScp): string[] => pacs.stores.map(({ sopInstanceUid }) => sopInstanceUid);

export function uidsOf(...studies: readonly (UploadedStudy | SampleStudy)[]): string[] {
  return studies
    .flatMap((study) =>
      'sopInstanceUids' in study ? study.sopInstanceUids : [...study].map((one) => one.sopInstanceUid),
    )
    .sort();
}
