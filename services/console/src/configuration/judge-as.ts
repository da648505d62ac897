import type { Config } from '@dicom-dispatch/core';
import { editorProblems } from '@dicom-dispatch/operations';
import { configValue, judgeText, type ConfigurationStore, type LocatedProblem } from '@dicom-dispatch/runtime';

interface Change {
  readonly before: string;
  readonly text: string;
  /** Whether somebody asks who may change targets, groups and rules only. */
  readonly isEditor: boolean;
  /** Sealed secrets that were typed just now. */
  readonly typed?: ReadonlySet<string>;
}

/**
 * Checks a text as `config check` does, for somebody. The check puts in what `${NAME}` and files stand for, and its words may
 * quote them: of a change that an editor may not make, nothing is put in, and only `foreign` says why.
 */
export async function judgeAs(
  store: ConfigurationStore,
  { before, text, isEditor, typed }: Change,
): Promise<{ config?: Config; problems: readonly LocatedProblem[]; foreign: readonly string[] }> {
  const foreign = isEditor ? foreignTo(before, text, typed) : [];
  if (foreign.length > 0) return { problems: [], foreign };
  return { ...(await judgeText(store, text)), foreign };
}

function foreignTo(before: string, text: string, typed: ReadonlySet<string> | undefined): readonly string[] {
  try {
    return editorProblems(configValue(before), configValue(text), typed);
  } catch (error) {
    return [`it is not YAML: ${(error as Error).message}`];
  }
}
