/**
 * UIDs of instances, and of what belongs to them, by keyword: those with action U in PS3.15 table E.1-1. All that carry
 * the same value get the same new one, so that references between instances hold.
 */
const keywords = new Set([
  'AffectedSOPInstanceUID',
  'AnnotationGroupUID',
  'ConcatenationUID',
  'ConceptualVolumeUID',
  'ConstituentConceptualVolumeUID',
  'DeviceUID',
  'DigitalSignatureUID',
  'DimensionOrganizationUID',
  'DoseReferenceUID',
  'DosimetricObjectiveUID',
  'FailedSOPInstanceUIDList',
  'FiducialUID',
  'FrameOfReferenceUID',
  'InstanceCreatorUID',
  'IrradiationEventUID',
  'LargePaletteColorLookupTableUID',
  'ManufacturerDeviceClassUID',
  'ObservationSubjectUID',
  'ObservationUID',
  'PaletteColorLookupTableUID',
  'PatientSetupUID',
  'PresentationDisplayCollectionUID',
  'PresentationSequenceCollectionUID',
  'ReferencedConceptualVolumeUID',
  'ReferencedDoseReferenceUID',
  'ReferencedDosimetricObjectiveUID',
  'ReferencedFiducialsUID',
  'ReferencedFrameOfReferenceUID',
  'ReferencedGeneralPurposeScheduledProcedureStepTransactionUID',
  'ReferencedObservationUIDTrial',
  'ReferencedSOPInstanceUID',
  'ReferencedSOPInstanceUIDInFile',
  'ReferencedSeriesInstanceUID',
  'ReferencedStudyInstanceUID',
  'ReferencedTreatmentPositionGroupUID',
  'RelatedFrameOfReferenceUID',
  'RequestedSOPInstanceUID',
  'RTAnnotationUID',
  'RTPhysicianIntentUID',
  'RTPrescriptionUID',
  'RTTreatmentPhaseUID',
  'SeriesInstanceUID',
  'SOPInstanceUID',
  'SourceConceptualVolumeUID',
  'SourceFrameOfReferenceUID',
  'SpecimenUID',
  'StorageMediaFileSetUID',
  'StudyInstanceUID',
  'SynchronizationFrameOfReferenceUID',
  'TableFrameOfReferenceUID',
  'TargetFrameOfReferenceUID',
  'TargetUID',
  'TemplateExtensionCreatorUID',
  'TemplateExtensionOrganizationUID',
  'TrackingUID',
  'TransactionUID',
  'TreatmentPositionGroupUID',
  'TreatmentSessionUID',
  'UID',
  'VolumeFrameOfReferenceUID',
]);

const deepest = 32;

/**
 * Gives every such UID of an instance a new value: paths as Orthanc writes them, e.g.
 * `SourceImageSequence[0].ReferencedSOPInstanceUID`, to values.
 *
 * @param tags - the instance in Orthanc's simplified form
 */
export function replaceUids(
  tags: Readonly<Record<string, unknown>>,
  newUid: (uid: string) => string,
): Record<string, string> {
  const replaced: Record<string, string> = {};
  visit(tags, '', 0);
  return replaced;

  function visit(item: Readonly<Record<string, unknown>>, before: string, depth: number): void {
    if (depth > deepest) return;
    for (const [name, value] of Object.entries(item)) {
      if (Array.isArray(value)) {
        for (const [index, one] of (value as unknown[]).entries()) {
          if (typeof one === 'object' && one !== null) {
            visit(one as Record<string, unknown>, `${before}${name}[${index}].`, depth + 1);
          }
        }
      } else if (typeof value === 'string' && value !== '' && keywords.has(name)) {
        // Several values are told apart by a backslash (PS3.5 section 6.2); trailing NULs are padding.
        const values = value.split('\\').map((one) => newUid(one.replace(/[\0 ]+$/, '')));
        replaced[before + name] = values.join('\\');
      }
    }
  }
}
