/** Keywords (PS3.6) that a template may use, by the level from which they are read. */
export const templateKeywords = {
  instance: ['SOPInstanceUID', 'SOPClassUID', 'TransferSyntaxUID', 'InstanceNumber'],
  series: [
    'SeriesInstanceUID',
    'SeriesNumber',
    'SeriesDescription',
    'SeriesDate',
    'SeriesTime',
    'Modality',
    'BodyPartExamined',
    'ProtocolName',
    'SequenceName',
    'Manufacturer',
    'ManufacturerModelName',
    'StationName',
    'OperatorsName',
    'ContrastBolusAgent',
    'PerformedProcedureStepDescription',
  ],
  study: [
    'StudyInstanceUID',
    'StudyDate',
    'StudyTime',
    'StudyID',
    'StudyDescription',
    'AccessionNumber',
    'RequestedProcedureDescription',
    'RequestingPhysician',
    'ReferringPhysicianName',
    'InstitutionName',
    'PatientID',
    'PatientName',
    'PatientBirthDate',
    'PatientSex',
    'OtherPatientIDs',
  ],
} as const;

export type TemplateLevel = keyof typeof templateKeywords;

export function levelOf(keyword: string): TemplateLevel | undefined {
  const levels = Object.keys(templateKeywords) as TemplateLevel[];
  return levels.find((level) => (templateKeywords[level] as readonly string[]).includes(keyword));
}
