import type { SampleStudy } from './build-study.ts';
import type { CharacterSet } from './character-set.ts';
import type { Attributes } from './element.ts';
import { makeStudy } from './make-study.ts';

interface Hostility {
  readonly characterSet?: CharacterSet;
  readonly attributes: Attributes;
}

/** Text for every attribute that may be used in a file name, a path, a log line, a page or a header. */
function everywhere(text: string, short = text): Attributes {
  return {
    PatientName: text,
    PatientID: text,
    AccessionNumber: short,
    StudyID: short,
    StudyDescription: text,
    SeriesDescription: text,
    InstitutionName: text,
    StationName: short,
    ReferringPhysicianName: text,
  };
}

const long = 'x'.repeat(300);

const hostilities = {
  /** Paths that lead out of a folder. */
  traversal: { attributes: everywhere('../../../../tmp/escaped', '../..') },
  'absolute-path': { attributes: everywhere('/etc/passwd') },
  'dot-names': { attributes: everywhere('..', '.') },
  /** A backslash separates values, so these are read as several. */
  backslashes: { attributes: everywhere('..\\..\\windows\\system32', '..\\x') },
  nul: { attributes: everywhere('before\0after', 'a\0b') },
  control: { attributes: everywhere('line\r\nInjected: header\u001b[31m\t\u0007', 'a\r\nb') },
  /** Maximum length in Orthanc's index. */
  long: { attributes: everywhere(long.slice(0, 256)) },
  /** Orthanc rejects such a Patient ID, and omits such other attributes from its index. */
  'too-long': { attributes: { ...everywhere(long), PatientID: long.slice(0, 256) } },
  shell: { attributes: everywhere('$(touch owned)`id`; rm -rf ~ | cat & #', '-rf') },
  markup: { attributes: everywhere('<script>alert("x")</script>&amp;{{7*7}}${1+1}%s%n', '<b>x</b>') },
  query: { attributes: everywhere("' OR '1'='1' --;*?[a-z]", '*') },
  'reserved-names': { attributes: everywhere('CON', 'NUL.txt') },
  spaces: { attributes: everywhere('   ', ' ') },
  /** Type 2 attributes that are present and empty. */
  empty: { attributes: everywhere('') },
  /** Absent. */
  missing: {
    attributes: {
      PatientName: undefined,
      PatientID: undefined,
      AccessionNumber: undefined,
      StudyID: undefined,
      StudyDate: undefined,
      StudyTime: undefined,
      StudyDescription: undefined,
      SeriesDescription: undefined,
      ReferringPhysicianName: undefined,
    },
  },
  latin1: { characterSet: 'ISO_IR 100', attributes: everywhere('Zoë Müßiggänger Ñandú', 'Ærø') },
  greek: { characterSet: 'ISO_IR 126', attributes: everywhere('Διονυσιος', 'Δοκιμή') },
  cyrillic: { characterSet: 'ISO_IR 144', attributes: everywhere('Люкceмбypг Проба', 'Проба') },
  utf8: { characterSet: 'ISO_IR 192', attributes: everywhere('Wang^XiaoDong=王^小东 🩻 e\u0301\u202Etxet', '王小东') },
  /** Code extensions (PS3.5 Annex H.3.1): Japanese by escape sequences. */
  japanese: {
    attributes: {
      SpecificCharacterSet: ['', 'ISO 2022 IR 87'],
      PatientName: Buffer.concat([
        Buffer.from('Yamada^Tarou='),
        Buffer.from('1b2442 3b33 4544 1b2842 5e 1b2442 4240 4f3a 1b2842'.replaceAll(' ', ''), 'hex'),
        Buffer.from('='),
        Buffer.from('1b2442 2464 245e 2440 1b2842 5e 1b2442 243f 246d 2426 1b2842'.replaceAll(' ', ''), 'hex'),
      ]),
    },
  },
  /** Declared as UTF-8, but invalid. */
  'broken-utf8': {
    characterSet: 'ISO_IR 192',
    attributes: {
      PatientName: Buffer.from([0x41, 0xff, 0xfe, 0xc3, 0x28, 0x5e, 0x80]),
      StudyDescription: Buffer.from([0xe2, 0x82]),
    },
  },
  'unknown-character-set': {
    attributes: { SpecificCharacterSet: 'ISO_IR 999', PatientName: Buffer.from([0x41, 0xe4, 0x5e, 0xf6]) },
  },
  /** Invalid UIDs. */
  uids: { attributes: { StudyInstanceUID: '../1.2.3/..', SeriesInstanceUID: '1.2.3 4/5' } },
  dates: { attributes: { StudyDate: '20241399', StudyTime: '99:99', PatientBirthDate: 'unknown', PatientAge: 'old' } },
} as const satisfies Record<string, Hostility>;

export type HostileKind = keyof typeof hostilities;
export const hostileKinds = Object.keys(hostilities) as readonly HostileKind[];

export interface HostileOptions {
  readonly kind: HostileKind;
  readonly seed?: number | string;
  /** Default 2. */
  readonly instances?: number;
}

/** A study of readable files with attributes that are difficult or dangerous to process. */
export function makeHostileStudy({ kind, seed = 1, instances = 2 }: HostileOptions): SampleStudy {
  return makeStudy({
    ...hostilities[kind],
    seed: `hostile ${kind} ${seed}`,
    modality: 'OT',
    instancesPerSeries: instances,
    rows: 16,
    columns: 16,
  });
}
