/** CT, MR and Secondary Capture Image Storage (PS3.4 table B.5-1): almost every receiver of images accepts one of them. */
export const commonStorage = ['2', '4', '7'].map(storageClass);

const otherStorage = [
  // Radiography, mammography, dental
  '1',
  '1.1',
  '1.1.1',
  '1.2',
  '1.2.1',
  '1.3',
  '13.1.3',
  // Enhanced CT and MR, spectroscopy
  '2.1',
  '2.2',
  '4.1',
  '4.2',
  '4.3',
  '4.4',
  // Ultrasound
  '3.1',
  '6.1',
  '6.2',
  // Multi-frame secondary capture
  '7.1',
  '7.2',
  '7.3',
  '7.4',
  // Waveforms
  '9.1.1',
  '9.1.2',
  '9.1.3',
  '9.2.1',
  // Presentation states, registration, segmentation, raw data
  '11.1',
  '66',
  '66.1',
  '66.4',
  '66.5',
  '67',
  // Angiography, fluoroscopy
  '12.1',
  '12.1.1',
  '12.2',
  '12.2.1',
  '13.1.1',
  // Nuclear medicine, PET
  '20',
  '128',
  '130',
  // Visible light, ophthalmology, pathology
  '77.1.1',
  '77.1.1.1',
  '77.1.2',
  '77.1.3',
  '77.1.4',
  '77.1.4.1',
  '77.1.5.1',
  '77.1.5.2',
  '77.1.5.4',
  '77.1.6',
  // Structured reports, key objects, dose
  '88.11',
  '88.22',
  '88.33',
  '88.50',
  '88.59',
  '88.67',
  // Encapsulated PDF and CDA
  '104.1',
  '104.2',
  // Radiotherapy
  '481.1',
  '481.2',
  '481.3',
  '481.5',
].map(storageClass);

/**
 * The common classes of PS3.4 table B.5-1: with two presentation contexts each, and one for Verification, they fit into one
 * association (at most 128).
 */
export const allStorage: readonly string[] = [...commonStorage, ...otherStorage];

function storageClass(suffix: string): string {
  return `1.2.840.10008.5.1.4.1.1.${suffix}`;
}
