import { isUidOf, profileRow } from '../deidentify/profile-table.ts';
import { textOf, visit, type TagTree } from '../deidentify/tag-tree.ts';

/**
 * UIDs of instances, and of related objects, by keyword: those with action U in PS3.15 table E.1-1. All with
 * the same value get the same new one, so that references between instances stay valid.
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

/**
 * Gives every such UID of an instance a new value, at every depth: paths as Orthanc writes them, e.g.
 * `0008,2112[0].0008,1155`, to values.
 */
export function replaceUids(tree: TagTree, newUid: (uid: string) => string): Map<string, string> {
  const replaced = new Map<string, string>();
  visit(tree, ({ path, tag, element }) => {
    const value = textOf(element);
    if (value === undefined || value === '') return;
    const row = profileRow(tag);
    if (!(row && isUidOf(row)) && !keywords.has(element.Name)) return;
    // Several values are separated by a backslash (PS3.5 section 6.2); trailing NULs are padding.
    const values = value.split('\\').map((one) => newUid(one.replace(/[\0 ]+$/, '')));
    replaced.set(path, values.join('\\'));
  });
  return replaced;
}
