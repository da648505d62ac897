import { describeTag } from 'dicom-dimse/dataset';
import type { TagTree } from '../deidentify/tag-tree.ts';
import { findPath, wellKnownVrs } from './find-path.ts';

/** VR of a tag that a transform names; undefined if it is unknown, or if PS3.6 allows several. */
export function vrOf(tree: TagTree, name: string): string | undefined {
  const path = findPath(tree, name);
  if (path === undefined) return undefined;
  return wellKnownVrs[path] ?? describeTag(Number.parseInt(path.replace(',', ''), 16))?.vr;
}
