/** @param names - keywords, tags such as `0010,0020`, or `private` (elements of odd groups, PS3.5 section 7.8) */
export async function ignoredTags(names: readonly string[]): Promise<(tag: number) => boolean> {
  if (names.length === 0) return () => false;
  const { findElement } = await import('dicom-dimse/dataset');
  const tags = new Set(names.map((name) => Number.parseInt(findElement(name)?.tag ?? name.replace(',', ''), 16)));
  const isPrivate = names.includes('private');
  return (tag) => tags.has(tag) || (isPrivate && (tag >>> 16) % 2 === 1);
}
