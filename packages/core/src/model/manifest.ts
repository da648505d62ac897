/** One instance of a study as the source has it now. UIDs as in PS3.5 section 9. */
export interface ManifestInstance {
  readonly sopInstanceUid: string;
  readonly seriesInstanceUid: string;
  readonly studyInstanceUid: string;
  /** Unknown for what the source could not read as DICOM. */
  readonly sopClassUid: string | undefined;
  readonly transferSyntaxUid: string | undefined;
  readonly instanceNumber: number | undefined;
  /** Size of the Part 10 file as stored by the source. */
  readonly sizeBytes: number;
  /** Name of the file in the storage folder of the source; unknown in a manifest that an older version has kept. */
  readonly fileUuid?: string | undefined;
  /**
   * The instance's address in the source: Orthanc's id, a hash of patient, study, series and SOP Instance UID. The only field
   * that is unique in every manifest: a study may have one SOP Instance UID in several series.
   */
  readonly sourceId: string;
  /** Whether the study has this SOP Instance UID in another series, too. */
  readonly sharesSopInstanceUid?: true;
  /** Changes when the source's copy of the instance changes; opaque. */
  readonly version: string;
}

/** A Part 10 file, byte for byte. Consume it once; a chunk is yours until you ask for the next. */
export interface InstanceBytes {
  /** What the source said; the stream may still end early, which throws. */
  readonly sizeBytes: number | undefined;
  readonly body: AsyncIterable<Uint8Array>;
  /**
   * Gives the memory of a chunk of `body` back to the source, which reads into it again. An offer, never a duty, and only
   * for who reads `body` itself, once nothing refers to the chunk any more. Whoever hands bytes on (a transform, a cache,
   * a checksum that lags behind) makes an `InstanceBytes` of its own, and that has none unless it says so.
   */
  readonly releaseChunk?: (chunk: Uint8Array) => void;
  /** Memory that is reserved for it: given back after its last byte, or, for who has called `keep`, by `release`. */
  readonly room?: { keep(): void; release(): void };
}

/** Tags of the study that templates and targets may use. Patient data: never in a log, an error or a job. */
export interface StudyTags {
  readonly studyInstanceUid: string;
  /** Keyword (PS3.6) to value, of study and patient level: StudyDate, AccessionNumber, PatientID … */
  readonly study: Readonly<Record<string, string>>;
  /** Series Instance UID to keyword to value: Modality, SeriesDescription, SeriesNumber … */
  readonly series: ReadonlyMap<string, Readonly<Record<string, string>>>;
}
