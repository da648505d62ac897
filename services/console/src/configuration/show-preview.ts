import type { DraftPreview } from '@dicom-dispatch/operations';
import type { DraftPreviewView } from '../api/configuration-schemas.ts';
import { untried } from './try-rule.ts';

/** The result of changed rules for earlier studies; without it, why no study was examined. */
export function showPreview(preview: DraftPreview | undefined): DraftPreviewView {
  if (!preview) {
    const none = { studies: 0, isWhole: false, same: 0, differs: 0, unknown: 0, priorsUnknown: 0 };
    return { ...none, byTarget: [], priors: [], priorsNotes: [], examples: [], untried };
  }
  return {
    ...preview,
    byTarget: [...preview.byTarget],
    priors: [...preview.priors],
    priorsNotes: [...preview.priorsNotes],
    examples: preview.examples.map(({ priors, ...study }) => ({
      ...study,
      before: [...study.before],
      after: [...study.after],
      ...(priors && {
        priors: priors.map(({ chosen, added, removed, ...one }) => ({
          ...one,
          chosen: [...chosen],
          added: [...added],
          removed: [...removed],
        })),
      }),
    })),
  };
}
