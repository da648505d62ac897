import type { Attributes } from './element.ts';
import { createRandom } from './random.ts';

const families = ['Probe', 'Muster', 'Beispiel', 'Sample', 'Ensayo', 'Essai', 'Prova', 'Exempel', 'Proba', 'Esimerkki'];
const given = {
  F: ['Ada', 'Berta', 'Clara', 'Dora', 'Emma', 'Frida', 'Greta', 'Hanna'],
  M: ['Anton', 'Bruno', 'Carlo', 'David', 'Emil', 'Fabio', 'Georg', 'Hugo'],
} as const;
const referrers = ['Rabe^Rosa^^Dr.', 'Sperling^Simon^^Dr.', 'Taube^Tina^^Dr.', 'Uhu^Urs^^Dr.'];
const makers = {
  CT: ['Example Imaging', 'Spiral 64', 'CT01'],
  MR: ['Example Imaging', 'Field 1.5', 'MR01'],
  CR: ['Example Imaging', 'Plate One', 'CR01'],
  DX: ['Example Imaging', 'Flat One', 'DX01'],
  US: ['Example Ultrasound', 'Echo Pro', 'US01'],
  SR: ['Example Informatics', 'Report Desk', 'RIS01'],
  OT: ['Example Informatics', 'Capture', 'WS01'],
} as const;

export type Modality = keyof typeof makers;

/** Patient, study and equipment of an invented examination; all of it is derived from the seed. */
export function inventExamination(seed: string, modality: Modality): Attributes & { readonly StudyDate: string } {
  const random = createRandom(seed, 'examination');
  const digits = (count: number): string => String(random.below(10 ** count)).padStart(count, '0');
  const sex = random.pick(['F', 'M'] as const);
  const age = 18 + random.below(70);
  const month = String(1 + random.below(12)).padStart(2, '0');
  const day = String(1 + random.below(28)).padStart(2, '0');
  const date = `2024${month}${day}`;
  const time = `${String(7 + random.below(12)).padStart(2, '0')}${String(random.below(60)).padStart(2, '0')}00`;
  const [manufacturer, model, station] = makers[modality];
  return {
    InstanceCreationDate: date,
    InstanceCreationTime: time,
    StudyDate: date,
    SeriesDate: date,
    AcquisitionDate: date,
    ContentDate: date,
    StudyTime: time,
    SeriesTime: time,
    AcquisitionTime: time,
    ContentTime: time,
    AccessionNumber: `A${digits(8)}`,
    Manufacturer: manufacturer,
    ManufacturerModelName: model,
    StationName: station,
    DeviceSerialNumber: digits(6),
    SoftwareVersions: 'samples 1',
    InstitutionName: 'Example Hospital',
    InstitutionalDepartmentName: 'Radiology',
    ReferringPhysicianName: random.pick(referrers),
    StudyDescription: `${modality} sample`,
    PatientName: `${random.pick(families)}^${random.pick(given[sex])}`,
    PatientID: `P${digits(7)}`,
    IssuerOfPatientID: 'EXAMPLE',
    PatientBirthDate: `${2024 - age - 1}0${1 + random.below(9)}1${random.below(10)}`,
    PatientSex: sex,
    PatientAge: `${String(age).padStart(3, '0')}Y`,
    StudyID: digits(5),
  };
}
