import type { DeliveryRun, ManifestInstance } from '@dicom-dispatch/target-kit';
import { parseTemplate, renderTemplate, shortHash, showPath } from '../template/index.ts';
import type { MarkerOption } from './schema.ts';

export interface StudyMarker {
  /** Relative to the folder or prefix of the target. */
  readonly path: string;
  /** The path for messages: without patient data. */
  readonly shownPath: string;
  readonly content: Buffer;
  /** Whether the marker replaces an existing file: an older marker of the same study of the same patient. */
  mayReplace(there: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<boolean>;
}

type Run = Pick<DeliveryRun<unknown>, 'manifest' | 'quarantined' | 'study'>;

/** Maximum length of an existing marker that is compared: enough for some 100,000 instances. */
const maxMarkerBytes = 64 * 1024 * 1024;

/**
 * The marker of a study that has arrived, or undefined if none is written. It contains no times: the marker of the same content is
 * always the same.
 */
export function studyMarker(
  run: Run,
  option: MarkerOption | undefined,
  quarantinedNow: readonly ManifestInstance[],
  pathOf: (instance: ManifestInstance) => string,
): StudyMarker | undefined {
  if (!option) return undefined;
  // By their ids in the source, because two instances of a study may have one SOP Instance UID.
  const missing = new Map([...(run.quarantined ?? []), ...quarantinedNow].map((one) => [one.sourceId, one]));
  if (missing.size > 0 && !option.whenPartial) return undefined;
  const segments = parseTemplate(option.path);
  const study = studyKey(run);
  return {
    path: renderTemplate(segments, run.study, undefined),
    shownPath: showPath(segments, run.study, undefined),
    content: option.content === 'empty' ? Buffer.alloc(0) : manifestOf(run, study, missing, pathOf),
    mayReplace: (there) => isOlderMarker(there, run.study.studyInstanceUid, study),
  };
}

/** Distinguishes studies of different patients with the same UID. It is stored beside files that contain the Patient ID. */
function studyKey({ study }: Run): string {
  return shortHash(`${study.study['PatientID'] ?? ''}|${study.studyInstanceUid}`, 16);
}

function manifestOf(
  run: Run,
  study: string,
  missing: ReadonlyMap<string, ManifestInstance>,
  pathOf: (instance: ManifestInstance) => string,
): Buffer {
  const instances = run.manifest
    .filter(({ sourceId }) => !missing.has(sourceId))
    .map((instance) => ({
      sopInstanceUid: instance.sopInstanceUid,
      seriesInstanceUid: instance.seriesInstanceUid,
      sopClassUid: instance.sopClassUid,
      sizeBytes: instance.sizeBytes,
      path: pathOf(instance),
    }));
  const manifest = {
    version: 1,
    studyInstanceUid: run.study.studyInstanceUid,
    study,
    complete: missing.size === 0,
    instances,
    missing: [...missing.values()].map(({ sopInstanceUid }) => sopInstanceUid).sort(),
  };
  return Buffer.from(`${JSON.stringify(manifest, undefined, 2)}\n`);
}

async function isOlderMarker(
  there: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  studyInstanceUid: string,
  study: string,
): Promise<boolean> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of there) {
    chunks.push(Buffer.from(chunk));
    bytes += chunk.byteLength;
    if (bytes > maxMarkerBytes) return false;
  }
  try {
    const found = JSON.parse(Buffer.concat(chunks).toString('utf8')) as Readonly<Record<string, unknown>>;
    // Markers of earlier versions do not contain the study.
    const isOurs = found['study'] === undefined || found['study'] === study;
    return found['studyInstanceUid'] === studyInstanceUid && isOurs;
  } catch {
    return false;
  }
}
