/** Renamed options: path of the former option (`*` for any name) to its new name. */
const renamed: Readonly<Record<string, string>> = {
  'targets.*.associations': 'maxParallel',
  'targets.*.requests': 'maxParallel',
  'targets.*.parallel': 'maxParallel',
  'targets.*.lanes': 'maxParallel',
  'targets.*.answerTimeout': 'timeout',
  'targets.*.responseTimeout': 'timeout',
  'targets.*.verifyWait': 'verifyTimeout',
  'targets.*.minRate': 'minBytesPerSecond',
};

/** Removed options, and what replaces them. */
const removed: Readonly<Record<string, string>> = {
  'cache.retention': 'give cache.types.NAME.retention for the types that are not kept as usual',
  'reload.interval': 'the file is looked at every second',
};

/** Where an unknown option has gone, and the remedy; undefined for one that never existed. */
export function formerOption(path: readonly (string | number)[]): string | undefined {
  const [section = '', name, ...option] = path;
  const isTarget = section === 'targets' || section === 'targetDefaults';
  const key = (isTarget ? ['targets', '*', ...option] : [section, name, ...option]).join('.');
  const last = String(path.at(-1));
  if (Object.hasOwn(renamed, key)) return `"${last}" is now called "${renamed[key]}": rename it`;
  return Object.hasOwn(removed, key) ? `"${last}" was removed: ${removed[key]}` : undefined;
}
