import { expect, it } from 'vitest';
import { renameReferences } from './rename-references.ts';

it('renames a source in conditions with either kind of quotes, and leaves those of other sources alone', () => {
  const rules = ['source == "other"', 'source == "main" && "CT" in study.ModalitiesInStudy', "source != 'main'"];
  const raw = { rules: rules.map((when, index) => ({ name: `r${index}`, when })) };
  expect(renameReferences(raw, 'sources', 'main', 'hospital')).toEqual({
    changes: [
      { path: ['rules', 1, 'when'], value: "source == 'hospital' && 'CT' in study.ModalitiesInStudy" },
      { path: ['rules', 2, 'when'], value: "source != 'hospital'" },
    ],
    open: [],
  });
});
