import { element, makeStudy, type StudyOptions } from '@dicom-dispatch/samples';
import { expect, it } from 'vitest';
import { readHead } from '../guard/read-head.ts';
import { inspectTransform, wholeDataSet } from '../inspect/transform-inspector.ts';
import { collectTexts } from './stored-texts.ts';

/** Requesting Service in an item, in Implicit VR: as the content of a UN. */
const item = Buffer.concat([
  Buffer.from('feff00e00e0000003200331006000000', 'hex'),
  Buffer.from('Pr\xfcfun', 'latin1'),
]);

function fileWith(options: StudyOptions): Buffer {
  const [sample] = makeStudy({ seed: 'texts', instancesPerSeries: 1, rows: 16, columns: 16, ...options });
  if (!sample) throw new Error('an empty sample');
  return sample.bytes;
}

function headOf(bytes: Buffer) {
  const read = readHead(bytes, true, undefined);
  if (read.kind !== 'read') throw new Error('no head');
  return read.head;
}

const unknown = { attributes: { SpecificCharacterSet: 'ISO_IR 100' }, extraTags: [element(0x0040a504, 'UN', item)] };

it('texts in a UN are found by their tags, and are known to be unreachable', () => {
  const bytes = fileWith(unknown);
  const { inspector, texts, isComplete } = collectTexts({}, new Set());
  inspector.begin(headOf(bytes));
  inspector.add(bytes);
  inspector.end();
  expect(isComplete()).toBe(true);
  expect(texts.get('0040,a504[0].0032,1033')).toMatchObject({ isListed: false, terms: ['ISO_IR 100'] });
});

it('a data set that is damaged is not one without further texts', () => {
  const bytes = fileWith(unknown);
  const at = bytes.indexOf(Buffer.from([0x28, 0, 0x10, 0]));
  bytes.write('??', at + 4);
  const { inspector, isComplete } = collectTexts({}, new Set());
  inspector.begin(headOf(bytes));
  inspector.add(bytes);
  inspector.end();
  expect(isComplete()).toBe(false);
});

it.each(['explicit-le', 'implicit-le'] as const)(
  'a text that a result has in its former character set is found, without a VR too (%s)',
  (transferSyntax) => {
    const options = { ...unknown, attributes: { SpecificCharacterSet: 'ISO_IR 192' }, transferSyntax };
    const bytes = fileWith(options);
    const expected = { ...wholeDataSet({ transferSyntaxUid: undefined } as never), hasNewCharacterSet: true };
    const inspector = inspectTransform(expected, (what) => new Error(what));
    inspector.begin(headOf(bytes));
    expect(() => {
      inspector.add(bytes);
      inspector.end();
    }).toThrow('(0040,a504[0].0032,1033)');
  },
);
