export { DicomObjectCache, type FoundObject, type NotFound } from './dicom-object-cache.ts';
export {
  dicomLevels,
  type Attributes,
  type DicomAddress,
  type DicomLevel,
  type InstanceObject,
  type SeriesObject,
  type StudyObject,
} from './dicom-object.ts';
