import { expect, it } from 'vitest';
import type { InstanceSelection } from '../config/instance-selection.ts';
import type { ManifestInstance, StudyTags } from '../model/manifest.ts';
import { compileSelection, selectInstances, unreadTags } from './select-instances.ts';

/** One instance of each series, named by its description. */
const series = {
  a: ['CT', 'Thorax'],
  b: ['CT', 'Scout'],
  c: ['SR', 'Dose report'],
  d: [undefined, undefined],
} as const;
const manifest = Object.keys(series).map(
  (name) => ({ sopInstanceUid: name, seriesInstanceUid: name, sourceId: `s-${name}` }) as ManifestInstance,
);
const study: StudyTags = {
  studyInstanceUid: '1.2',
  study: {},
  series: new Map(
    Object.entries(series).flatMap(([uid, [Modality, SeriesDescription]]) =>
      Modality === undefined ? [] : [[uid, { Modality, SeriesDescription }]],
    ),
  ),
};

function selected(
  target?: InstanceSelection,
  rules?: readonly InstanceSelection[],
  tags?: Map<string, object>,
): string {
  const found = selectInstances(manifest, study, compileSelection(target, rules), tags as never);
  return found.map(({ sopInstanceUid }) => sopInstanceUid).join('');
}

it('includes everything by default, with the manifest unchanged', () => {
  expect(selected()).toBe('abcd');
  expect(selected(undefined, [])).toBe('abcd');
  expect(selected({ exclude: [] }, [])).toBe('abcd');
  expect(selectInstances(manifest, study, compileSelection(undefined, undefined))).toBe(manifest);
});

it('excludes series by their description, and by modality and description', () => {
  expect(selected({ exclude: ['Scout'] })).toBe('acd');
  expect(selected({ exclude: ['SR/*'] })).toBe('abd');
  expect(selected({ exclude: ['*/Thorax', 'Dose*'] })).toBe('bd');
  // A series without tags has neither.
  expect(selected({ exclude: ['/'] })).toBe('abc');
});

it('selects the intersection of the target and any of the rules', () => {
  const [ct, report] = [{ exclude: ['SR/*', '/'] }, { exclude: ['CT/*', '/'] }];
  expect(selected(undefined, [ct])).toBe('ab');
  expect(selected(undefined, [ct, report])).toBe('abc');
  expect(selected({ exclude: ['Scout'] }, [ct, report])).toBe('ac');
  expect(selected(ct, [report])).toBe('');
  expect(selected({ exclude: ['Scout'] }, [{}])).toBe('acd');
});

it('requests tags of instances only if needed, each once', () => {
  const only = 'instance.ImageType.startsWith("ORIGINAL")';
  expect(compileSelection(undefined, [{ exclude: ['x'] }]).wanted).toEqual([]);
  expect(compileSelection({ only }, [{ only }]).wanted).toEqual(['ImageType']);
  const tags = new Map([
    ['s-a', { ImageType: 'ORIGINAL\\PRIMARY' }],
    ['s-b', { ImageType: 'DERIVED\\PRIMARY' }],
  ]);
  expect(selected({ only }, undefined, tags)).toContain('a');
  expect(selected({ only }, undefined, tags)).not.toContain('b');
  expect(selected({ only, exclude: ['Thorax'] }, undefined, tags)).not.toContain('a');
  // An instance that the source cannot read is not skipped silently.
  expect(selected({ only }, undefined, new Map([['s-b', unreadTags]]))).toContain('b');
});
