/** Attributes of an object by keyword (PS3.6) or tag, as JSON carries them. */
export type Attributes = Readonly<Record<string, unknown>>;

export interface InstanceObject {
  readonly sopInstanceUid: string;
  readonly attributes: Attributes;
}

/** Without `instances` they are unknown; whether given ones are all of the series depends on the function that returns them. */
export interface SeriesObject {
  readonly seriesInstanceUid: string;
  readonly attributes: Attributes;
  readonly instances?: readonly InstanceObject[];
}

export interface StudyObject {
  readonly studyInstanceUid: string;
  readonly attributes: Attributes;
  readonly series?: readonly SeriesObject[];
}

/** The levels of the Study Root information model (PS3.4 section C.6.2.1), from the top. */
export const dicomLevels = ['study', 'series', 'instance'] as const;
export type DicomLevel = (typeof dicomLevels)[number];

/** Where an object is in the tree: a study, a series of it, an instance of that. */
export type DicomAddress =
  | { readonly studyInstanceUid: string; readonly seriesInstanceUid?: undefined; readonly sopInstanceUid?: undefined }
  | { readonly studyInstanceUid: string; readonly seriesInstanceUid: string; readonly sopInstanceUid?: undefined }
  | { readonly studyInstanceUid: string; readonly seriesInstanceUid: string; readonly sopInstanceUid: string };

export function reaches(cached: DicomLevel, wanted: DicomLevel): boolean {
  return dicomLevels.indexOf(cached) >= dicomLevels.indexOf(wanted);
}

/** The study without levels below the given one. */
export function trimStudy(study: StudyObject, level: DicomLevel): StudyObject {
  const { series, ...alone } = study;
  if (level === 'study' || !series) return alone;
  if (level === 'instance') return study;
  return { ...alone, series: series.map(({ instances: _instances, ...one }) => one) };
}
