import {
  describeChanges,
  draftDigest,
  editableSections,
  readDraft,
  textForEditors,
  type DraftContext,
} from '@dicom-dispatch/operations';
import { configValue, unifiedDiff } from '@dicom-dispatch/runtime';
import type { DraftView } from '../api/configuration-schemas.ts';
import type { FastifyRequest } from 'fastify';
import { draftWarnings } from './draft-warnings.ts';
import { isEditor as isEditorOf } from './edit-context.ts';
import { judgeAs } from './judge-as.ts';
import { lockOut } from './lock-out.ts';

/** The prepared change as a description and as YAML, with its problems for the user. */
export async function showDraft(
  context: DraftContext,
  request: Pick<FastifyRequest, 'identity'>,
): Promise<DraftView | undefined> {
  const isEditor = isEditorOf(request);
  const draft = await readDraft(context);
  if (!draft) return undefined;
  const [{ digest }, { config, problems, foreign }] = await Promise.all([
    context.store.current.read(),
    judgeAs(context.store, { before: draft.baseText, text: draft.text, isEditor }),
  ]);
  const shown = (text: string): string => (isEditor ? textForEditors(text) : text);
  const differences = describeChanges(valueOf(draft.baseText), valueOf(draft.text));
  return {
    seen: draftDigest(draft),
    text: shown(draft.text),
    patch: unifiedDiff(context.store.current.fileName, shown(draft.baseText), shown(draft.text)),
    differences: isEditor ? differences.filter(({ path }) => isOfEditors(path)) : differences,
    changes: [...draft.changes],
    problems: [
      ...foreign.map((why) => ({ line: 0, path: '', message: `an administrator must apply this: ${why}` })),
      ...problems.map(({ line, path, message }) => ({ line, path: path.join('.'), message })),
      ...lockOut(request, draft.baseText, draft.text).map((message) => ({ line: 0, path: '', message })),
    ],
    warnings: config ? await draftWarnings(context, config, draft.after, isEditor) : [],
    isStale: digest !== draft.base,
  };
}

/** Whether a difference is in a section that editors may read. */
function isOfEditors(path: string): boolean {
  return path === 'order of rules' || editableSections.has(path.split('.')[0] ?? '');
}

/** Invalid YAML is reported among the problems. */
function valueOf(text: string): unknown {
  try {
    return configValue(text);
  } catch {
    return undefined;
  }
}
