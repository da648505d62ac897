/** Variables of a rule's expression. */
export interface RuleFacts {
  /** Name of the source. */
  readonly source: string;
  /** Keyword to value, of patient and study level. `ModalitiesInStudy` is a list. */
  readonly study: Readonly<Record<string, string | readonly string[]>>;
  /** One map a series: Modality, SeriesDescription, StationName, BodyPartExamined … */
  readonly series: readonly Readonly<Record<string, string>>[];
  /** How it arrived: RemoteAET, CalledAET, RemoteIP, Origin, and ArrivedAt as a timestamp. */
  readonly origin: Readonly<Record<string, string | Date>>;
  /** The present time; default that of the call. */
  readonly now?: Date;
}
