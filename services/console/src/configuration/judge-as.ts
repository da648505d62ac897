import type { Config } from '@dicom-dispatch/core';
import { editorProblems } from '@dicom-dispatch/operations';
import { configValue, judgeText, type ConfigurationStore, type LocatedProblem } from '@dicom-dispatch/runtime';

interface Change {
  readonly before: string;
  readonly text: string;
  /** Whether the user may change targets, groups and rules only. */
  readonly isEditor: boolean;
  /** Encrypted secrets that were just entered. */
  readonly typed?: ReadonlySet<string>;
}

/**
 * Checks a text like `config check`, for a user. The check resolves `${NAME}` and files, and its messages may
 * contain their values: for a change that an editor may not make, nothing is resolved, and only `foreign` contains the
 * reason.
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
