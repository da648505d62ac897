const root = '1.2.840.10008.5.1.4.1.1.';

function classes(ends: string): readonly string[] {
  return ends.split(' ').map((end) => `${root}${end}`);
}

/** Storage SOP classes (PS3.4 table B.5-1) to propose if the receiver does not report its classes. */
export const commonClasses = classes(
  [
    '1 1.1 1.1.1 1.2 1.2.1 1.3 1.3.1 2 2.1 2.2 3.1 4 4.1 4.2 4.3 4.4 6.1 6.2 7 7.1 7.2 7.3 7.4',
    '9.1.1 9.1.2 9.1.3 9.2.1 9.3.1 9.4.1 9.4.2 9.5.1 9.6.1 11.1 11.2 11.3 11.4 11.5 11.6 11.7 11.8',
    '12.1 12.1.1 12.2 12.2.1 13.1.1 13.1.2 13.1.3 13.1.4 13.1.5 14.1 14.2 20 30 66 66.1 66.2 66.3 66.4 66.5 66.6 67',
    '77.1.1 77.1.1.1 77.1.2 77.1.2.1 77.1.3 77.1.4 77.1.4.1 77.1.5.1 77.1.5.2 77.1.5.3 77.1.5.4 77.1.6 78.1 79.1',
    '88.11 88.22 88.33 88.34 88.40 88.50 88.59 88.65 88.67 88.68 88.71 104.1 104.2 104.3 128 128.1 130',
    '481.1 481.2 481.3 481.4 481.5 481.6 481.7 481.8 481.9',
  ].join(' '),
);

/** SOP classes of a series with this Modality (0008,0060); each series may contain secondary captures, too. */
const ofModality: Readonly<Record<string, readonly string[]>> = {
  CR: classes('1'),
  CT: classes('2 2.1 2.2'),
  DX: classes('1.1 1.1.1 1'),
  ECG: classes('9.1.1 9.1.2 9.1.3'),
  ES: classes('77.1.1 77.1.1.1'),
  IO: classes('1.3 1.3.1'),
  KO: classes('88.59'),
  MG: classes('1.2 1.2.1 13.1.3 13.1.4'),
  MR: classes('4 4.1 4.2 4.3 4.4'),
  NM: classes('20'),
  OP: classes('77.1.5.1 77.1.5.2'),
  OPT: classes('77.1.5.4'),
  PR: classes('11.1 11.2 11.3 11.4 11.5 11.8'),
  PT: classes('128 128.1 130'),
  PX: classes('1.1 1.1.1 1'),
  REG: classes('66.1 66.3'),
  RF: classes('12.2 12.2.1 13.1.2'),
  RTDOSE: classes('481.2'),
  RTIMAGE: classes('481.1'),
  RTPLAN: classes('481.5 481.8'),
  RTRECORD: classes('481.4 481.6 481.7 481.9'),
  RTSTRUCT: classes('481.3'),
  SEG: classes('66.4'),
  SM: classes('77.1.2 77.1.3 77.1.6'),
  SR: classes('88.11 88.22 88.33 88.34 88.40 88.50 88.65 88.67 88.68 88.71'),
  US: classes('6.1 3.1 6.2'),
  XA: classes('12.1 12.1.1 13.1.1'),
  XC: classes('77.1.4 77.1.4.1'),
};
const secondaryCaptures = classes('7 7.2 7.4');

/** Classes that a series of this modality may have; all common ones if the modality is not specific. */
export function classesOf(modality: string | undefined): readonly string[] {
  const some = modality === undefined ? undefined : ofModality[modality];
  return some ? [...some, ...secondaryCaptures] : commonClasses;
}
