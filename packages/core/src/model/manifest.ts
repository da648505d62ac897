/** One instance of a study as the source has it now. UIDs as in PS3.5 section 9. */
export interface ManifestInstance {
  readonly sopInstanceUid: string;
  readonly seriesInstanceUid: string;
  readonly studyInstanceUid: string;
  /** Unknown if the source could not read it as DICOM. */
  readonly sopClassUid: string | undefined;
  readonly transferSyntaxUid: string | undefined;
  readonly instanceNumber: number | undefined;
  /** Size of the Part 10 file as stored by the source. */
  readonly sizeBytes: number;
  /** Name of the file in the storage folder of the source; unknown in a manifest stored by an older version. */
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

/** A Part 10 file, byte for byte. Read it once; a chunk is valid until the next is requested. */
export interface InstanceBytes {
  /** As announced by the source; the stream may still end early, which throws. */
  readonly sizeBytes: number | undefined;
  readonly body: AsyncIterable<Uint8Array>;
  /**
   * Releases the memory of a chunk of `body` to the source, which reads into it again. Optional, and only for readers of
   * `body` itself, once nothing refers to the chunk any more. A stage that passes bytes on (a transform, a cache, a delayed
   * checksum) creates its own `InstanceBytes`, without this function unless it implements it.
   */
  readonly releaseChunk?: (chunk: Uint8Array) => void;
  /** Memory that is reserved for it: released after its last byte, or, after a call of `keep`, by `release`. */
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
